"""A training step as it ships beside the same step without each thing that makes it fast.

Steps of all variants are taken in turn, on random images of 64 px, so that a busy machine slows
all alike. Then the whole trainer on digits, in one process of two threads and in two of one.
"""

import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

from benchmarks.pages import as_markdown, put_table
from benchmarks.quality import prepare_source
from benchmarks.random_images import default_architecture, random_batches, take_step
from benchmarks.studies import ROOT
from benchmarks.timing import seconds_of
from ganaug.config import TrainParams, change_params, load_params
from ganaug.errors import one_line
from ganaug.folds import code_first
from ganaug.gan.compute import Compute, choose_compute
from ganaug.gan.step import Networks
from ganaug.gan.trainer import make_state

ROUNDS, STEPS = 5, 4
KIMG = (0.5, 2.5)  # of the two lengths whose difference is timed
Variant = Callable[[Networks, Compute], tuple[Networks, Compute]]


def main() -> None:
    """Print images/s of each variant and its ratio to what ships, and write the table."""
    params = load_params(ROOT / "params.yaml").train
    compute = choose_compute(device="cpu", precision=params.precision)
    rows = [("as shipped", compute.describe(), "1.00"), *_steps(params, compute), *_processes()]
    table = as_markdown([("variant", "", "images/s, of what ships"), *rows])
    print(table)
    put_table(table, "variants", ROOT / "docs" / "benchmarks.md")


def _contiguous(networks: Networks, compute: Compute) -> tuple[Networks, Compute]:
    for network in (networks.G, networks.D):
        network.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    return networks, compute


def _plain_adam(networks: Networks, compute: Compute) -> tuple[Networks, Compute]:
    G, D = (
        torch.optim.Adam(own.param_groups[0]["params"], **_rates(own), fused=False, foreach=False)
        for own in (networks.G_optimiser, networks.D_optimiser)
    )
    return replace(networks, G_optimiser=G, D_optimiser=D), compute


def _rates(optimiser: torch.optim.Optimizer) -> dict[str, Any]:
    return {key: optimiser.param_groups[0][key] for key in ("lr", "betas", "eps")}


def _other_precision(networks: Networks, compute: Compute) -> tuple[Networks, Compute]:
    return networks, replace(compute, bf16=not compute.bf16)


def _compiled(networks: Networks, compute: Compute) -> tuple[Networks, Compute]:
    networks.G.compile()
    networks.D.compile()
    return networks, compute


VARIANTS: dict[str, Variant] = {
    "weights not in channels-last order": _contiguous,
    "Adam, a tensor at a time": _plain_adam,
    "the other precision": _other_precision,
    "torch.compile": _compiled,
}


def _steps(params: TrainParams, compute: Compute) -> Iterator[tuple[str, str, str]]:
    """A row for each variant."""
    works = {"as shipped": _work(params, compute, lambda *own: own)}
    for name, change in VARIANTS.items():
        work = _work(params, compute, change)
        try:
            work()  # warms up
        except RuntimeError as error:  # no double backward, which the penalties need
            yield name, f"fails: {one_line(error)[:90]}", "-"
        else:
            works[name] = work
    seconds = {name: list[float]() for name in works}
    for _ in range(ROUNDS):
        for name, work in works.items():
            seconds[name].append(seconds_of(work))
    shipped = statistics.median(seconds.pop("as shipped"))
    for name, own in seconds.items():
        other = replace(compute, bf16=not compute.bf16).describe()
        what = other if VARIANTS[name] is _other_precision else ""
        yield name, what, f"{shipped / statistics.median(own):.2f}"


def _work(params: TrainParams, compute: Compute, change: Variant) -> Callable[[], None]:
    """`STEPS` steps of a variant's own networks."""
    architecture = default_architecture(1, params.z_dim)
    batches = random_batches(params.batch_size, 1, params, compute.device)
    state = make_state(architecture, params, batches, seed=0, device=compute.device)
    networks, own = change(state.networks, compute)
    stream = torch.Generator().manual_seed(0)
    z = torch.randn(params.batch_size, networks.G.latent_dim)

    def work() -> None:
        for number in range(STEPS):
            how: dict[str, Any] = {"params": params, "compute": own, "stream": stream}
            take_step(networks, batches.draw(number), z, **how, number=number)

    return work


def _processes() -> Iterator[tuple[str, str, str]]:
    """The rate of two processes of one thread beside one of two, each through the whole trainer."""
    with tempfile.TemporaryDirectory() as folder:
        prepare_source("digits", 16, Path(folder) / "prepared")
        rates = {}
        for processes in (1, 2):
            short, longer = (_train(Path(folder), processes, kimg) for kimg in KIMG)
            rates[processes] = 1000 * (KIMG[1] - KIMG[0]) / (longer - short)
    what = f"digits; {rates[2]:.0f} and {rates[1]:.0f} images/s"
    yield "two processes of one thread, by gloo", what, f"{rates[2] / rates[1]:.2f}"


def _train(folder: Path, processes: int, kimg: float) -> float:
    """Seconds of the stage, start included."""
    params = folder / "params.yaml"
    params.write_bytes((ROOT / "params.yaml").read_bytes())
    digits = {"prepare.source": "digits", "prepare.resolution": 16}
    own = {"train.kimg": kimg, "train.num_evaluations": 1, "train.devices": processes}
    change_params(params, digits | own | {"train.device": "cpu"})
    threads = {"OMP_NUM_THREADS": str(2 // processes)}
    stage = [sys.executable, "-m", "pipeline.train", "--prepared", "prepared"]
    places = ["--out", "out", "--results", "results", "--checkpoints", f"states-{processes}-{kimg}"]
    environment = os.environ | code_first(ROOT / "src") | threads
    environment["PYTHONPATH"] += os.pathsep + str(ROOT)
    run = partial(
        subprocess.run, [*stage, *places], cwd=folder, env=environment, check=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    return seconds_of(run)


if __name__ == "__main__":
    main()
