"""`make gpu-check`: see that training on a GPU does what it does on the CPU, and how fast.

Four questions, some ten minutes in all: whether a step has the gradients that the CPU finds,
whether a state saved on the GPU goes on on the CPU, images/s and memory by precision and batch
size, and how long the recorded run takes to the recorded quality. The answers go to
results/gpu.json and to the table in docs/benchmarks.md. `make gpu-check DEVICE=cpu` runs the same
on the CPU, the last question left out, and records nothing.
"""

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchmarks.pages import as_markdown, put_table
from benchmarks.random_images import default_architecture, random_batches, take_step
from benchmarks.timing import seconds_of
from ganaug.budget import peak_memory_mib
from ganaug.config import TrainParams, change_params, load_params
from ganaug.errors import GanaugError, run
from ganaug.fileio import read_json, write_json
from ganaug.gan.checkpoints import Checkpoints
from ganaug.gan.compute import Compute, choose_compute
from ganaug.gan.step import Networks
from ganaug.gan.trainer import Trainer, make_state

ROOT = Path(__file__).parents[1]
OUT, PAGE = ROOT / "results" / "gpu.json", ROOT / "docs" / "benchmarks.md"
NUM_IMAGES = 256
BATCH_SIZES = (16, 64, 256)
TIMED_STEPS = 50
ROLES = ("", "recorded_")  # this run and the recorded one, in keys
LIMITS = {"fp32": 0.02, "bf16": 0.2}  # relative error of gradients; TF32 keeps 10 bits, bf16 7


class _Stopped(Exception):
    """Ends a training in the middle."""


def main() -> None:
    """Ask all questions of the device; say at the end whether all answers are as they should be."""
    device = sys.argv[1] if len(sys.argv) > 1 else "cuda"
    params = load_params(ROOT / "params.yaml", {"train.family": "r3"}).train
    computes = {name: choose_compute(device=device, precision=name) for name in LIMITS}
    found: dict[str, Any] = {
        "device": computes["fp32"].describe(),
        "torch": torch.__version__,
        "gradient_error": {name: gradient_error(own, params) for name, own in computes.items()},
        "goes_on_on_cpu": goes_on_on_cpu(computes["fp32"], params),
        "speed": list(speeds(computes, params)),
    }
    if device == "cuda":
        found["recorded_run"] = recorded_run()
        write_json(found, OUT)
        put_table(table(found), "gpu", PAGE)
    print(table(found))
    errors = found["gradient_error"]
    wrong = [f"gradients in {name}" for name, limit in LIMITS.items() if errors[name] > limit]
    wrong += [] if found["goes_on_on_cpu"] else ["a state of the GPU on the CPU"]
    if wrong:
        raise GanaugError(f"{found['device']}: not as on the CPU: {', '.join(wrong)}")


def take_steps(params: TrainParams, compute: Compute) -> Iterator[Networks]:
    """Train the small networks of family r3, a step at a time; yields them after each."""
    architecture = default_architecture(1, params.z_dim)
    batches = random_batches(NUM_IMAGES, 1, params, compute.device)
    networks = make_state(architecture, params, batches, seed=0, device=compute.device).networks
    stream = torch.Generator(compute.device).manual_seed(0)
    number = 0
    while True:
        batch, latent = batches.draw(number), torch.Generator().manual_seed(number)
        shape = (params.batch_size, networks.G.latent_dim)
        z = torch.randn(shape, generator=latent).to(compute.device)  # the same on each device
        how: dict[str, Any] = {"params": params, "compute": compute, "stream": stream}
        take_step(networks, batch, z, **how, number=number)
        yield networks
        number += 1


def gradient_error(compute: Compute, params: TrainParams) -> float:
    """Distance of a first step's gradients from those of the CPU in fp32, over their norm.

    Without augmentation, whose draws differ by device. Of D, whose update comes first; G's is that
    of a D that Adam has moved, and Adam turns rounding into whole steps.
    """
    params = params.model_copy(update={"augment": []})
    cpu = Compute(torch.device("cpu"), bf16=False)
    own, expected = (_gradients(next(take_steps(params, where))) for where in (compute, cpu))
    return float((own - expected).norm() / expected.norm())


def _gradients(networks: Networks) -> Tensor:
    gradients = [p.grad for p in networks.D.parameters() if p.grad is not None]
    return torch.cat([gradient.detach().flatten().float().cpu() for gradient in gradients])


def speeds(computes: dict[str, Compute], params: TrainParams) -> Iterator[dict[str, Any]]:
    """Images/s and peak memory of training steps, by precision and batch size."""
    is_cuda = computes["fp32"].device.type == "cuda"
    timed = TIMED_STEPS if is_cuda else params.penalty_interval
    for batch_size in BATCH_SIZES if is_cuda else BATCH_SIZES[:1]:
        for name, compute in computes.items():
            steps = take_steps(params.model_copy(update={"batch_size": batch_size}), compute)
            if is_cuda:
                torch.cuda.reset_peak_memory_stats()
            take = partial(_take, steps, compute)
            take(timed // 2)  # convolutions choose their algorithms
            seconds = seconds_of(partial(take, timed))
            peak = torch.cuda.max_memory_allocated() / 2**20 if is_cuda else peak_memory_mib()
            yield {
                "precision": name,
                "batch_size": batch_size,
                "images_per_second": round(timed * batch_size / seconds, 1),
                "peak_memory_mib": round(peak),
            }


def _take(steps: Iterator[Networks], compute: Compute, number: int) -> None:
    for _ in range(number):
        next(steps)
    if compute.device.type == "cuda":
        torch.cuda.synchronize()


def goes_on_on_cpu(compute: Compute, params: TrainParams) -> bool:
    """Whether a training that was stopped on the device ends on the CPU."""
    params = params.model_copy(update={"kimg": 0.128, "num_evaluations": 2})
    cpu = Compute(torch.device("cpu"), bf16=False)
    with tempfile.TemporaryDirectory() as folder:
        checkpoints = Checkpoints(Path(folder), "gpu")
        with suppress(_Stopped):
            _trainer(params, compute, checkpoints, kids=[1.0]).run()
        result = None
        with suppress(_Stopped):  # a training from the start, which evaluates twice
            result = _trainer(params, cpu, checkpoints, kids=[0.5]).run()
    return result is not None and all(bool(t.isfinite().all()) for t in result.weights.values())


def _trainer(
    params: TrainParams, compute: Compute, checkpoints: Checkpoints, *, kids: list[float]
) -> Trainer:
    """A training whose evaluations find these KIDs; it stops in the next one."""

    def evaluate(*_: Any) -> dict[str, float]:
        if not kids:
            raise _Stopped
        return {"kid": kids.pop()}

    return Trainer(
        batches=random_batches(NUM_IMAGES, 1, params, compute.device),
        architecture=default_architecture(1, params.z_dim),
        params=params,
        seed=0,
        compute=compute,
        evaluate=evaluate,
        observer=None,
        checkpoints=checkpoints,
    )


def recorded_run() -> dict[str, Any]:
    """Train as params.yaml says on data/prepared; time and KID on val beside the recorded ones.

    Raises:
        GanaugError: data/prepared is missing, or training failed; what it says stands above.
    """
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        (folder / "params.yaml").write_bytes((ROOT / "params.yaml").read_bytes())
        change_params(folder / "params.yaml", {"train.device": "cuda"})
        command = [sys.executable, "-m", "pipeline.train", "--prepared", "data/prepared"]
        command += ["--out", str(folder / "generator"), "--results", str(folder / "results")]
        command += ["--checkpoints", str(folder / "states")]
        command += ["--params", str(folder / "params.yaml")]
        if subprocess.run(command, cwd=ROOT, check=False).returncode:
            raise GanaugError("the recorded run failed, see above; `make repro` prepares its data")
        own, recorded = folder / "results", ROOT / "results" / "train"
        return {
            "seconds": read_json(own / "budget.json")["seconds"],
            "kid": read_json(own / "metrics.json")["val"]["kid"],
            "recorded_seconds": read_json(recorded / "budget.json")["seconds"],
            "recorded_kid": read_json(recorded / "metrics.json")["val"]["kid"],
        }


def table(found: dict[str, Any]) -> str:
    """Rows of docs/benchmarks.md."""
    rows = [("question", found["device"])]
    rows += [
        (f"relative error of D's gradients, {name}", f"{error:.1e} (limit {LIMITS[name]:g})")
        for name, error in found["gradient_error"].items()
    ]
    rows += [("a state goes on on the CPU", "yes" if found["goes_on_on_cpu"] else "no")]
    rows += [
        (
            f"training, {own['precision']}, batches of {own['batch_size']}",
            f"{own['images_per_second']:,.0f} images/s, {own['peak_memory_mib']:,} MiB",
        )
        for own in found["speed"]
    ]
    if own := found.get("recorded_run"):
        one, other = (f"{own[k + 'seconds']:.0f} s, KID on val {own[k + 'kid']:.2f}" for k in ROLES)
        rows += [("the recorded run", f"{one} (recorded: {other})")]
    return as_markdown(rows)


if __name__ == "__main__":
    run(main)
