"""data/prepared -> models/generator: train the GAN, keep the snapshot that is best on val.

Params: seed, train. Writes: generator.safetensors and generator.json; DVCLive's metrics, curves and
sample grids. The training state lies in --checkpoints, outside DVC's outputs, so that a stopped
run goes on.
"""

import copy
import tempfile
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from dvclive.live import Live

import ganaug
from ganaug.budget import measured
from ganaug.config import Params, load_params
from ganaug.errors import TrainingError, run
from ganaug.gan.architecture import resolve_architecture
from ganaug.gan.batches import RealBatches
from ganaug.gan.checkpoints import Checkpoints, fingerprint
from ganaug.gan.compute import Compute, choose_compute
from ganaug.gan.guards import collapsed_classes
from ganaug.gan.imported_code import imported_code
from ganaug.gan.networks import Architecture
from ganaug.gan.snapshot import Snapshot, load_snapshot, save_snapshot
from ganaug.gan.trainer import Observer, Trainer
from ganaug.images import Labels, Pixels, tile
from ganaug.preparing.prepared import Prepared, read_prepared
from ganaug.quality.features import ImageNetFeatures
from ganaug.quality.validation import validation_score
from ganaug.shards import read_labelled, read_rows

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)

GRID_COLUMNS = 12
WHERE = {"device", "devices", "num_nodes", "precision"}  # params that say where training runs
PACKAGE = Path(*ganaug.__path__)


class LiveObserver:
    """Hands metrics and sample grids to DVCLive, whose files `dvc metrics` and `dvc plots` read."""

    def __init__(self, live: Live) -> None:
        self._live = live
        self._summaries: dict[int, dict[str, Any]] = {}

    def metrics(self, images_seen: int, values: dict[str, float]) -> None:
        """Log values at a step that counts images."""
        self._live.step = images_seen
        for name, value in values.items():
            self._live.log_metric(name, value)
        if "val/kid" in values:
            measured_on_val = {name.removeprefix("val/"): v for name, v in values.items()}
            names = ", ".join(collapsed_classes(measured_on_val)) or "none"
            self._live.log_metric("val/collapsed_classes", names, plot=False)
        self._live.make_summary()  # type: ignore[no-untyped-call]
        self._summaries[images_seen] = copy.deepcopy(self._live.summary)

    def show_best(self, images_seen: int) -> None:
        """Return to the values of the best step, which `dvc metrics` shows; curves stay whole."""
        self._live.summary = self._summaries[images_seen]

    def samples(self, images: Pixels, labels: Labels) -> None:
        """Overwrite the grid: one row a class."""
        rows = [images[labels == label][:GRID_COLUMNS] for label in np.unique(labels)]
        grid = tile(np.concatenate(rows), columns=GRID_COLUMNS)
        self._live.log_image("samples.png", grid.squeeze())  # Pillow wants grey as [H, W]


@app.command()
def main(
    prepared: Annotated[Path, typer.Option(file_okay=False, help="Prepared dataset.")],
    out: Annotated[Path, typer.Option(file_okay=False, help="Snapshot folder, created.")],
    results: Annotated[Path, typer.Option(file_okay=False, help="Metrics and curves.")],
    checkpoints: Annotated[Path, typer.Option(file_okay=False, help="Training states.")],
    params: Annotated[Path, typer.Option(dir_okay=False)] = Path("params.yaml"),
) -> None:
    """Train a class-conditional GAN on the train split."""
    p = load_params(params)
    compute = choose_compute(**p.train.model_dump(include=WHERE))
    job = resolve_job(p, read_prepared(prepared), checkpoints)
    if compute.rank > 0:  # it shares the work; the first process evaluates and writes
        make_trainer(p, job, compute).run()
        return
    # Locked before the images are loaded, so that a second start is refused at once.
    with job.checkpoints.locked(), measured("train", results / "budget.json"):
        train(p, job, compute, out=out, results=results)


@dataclass(frozen=True)
class Job:
    """What to train on what, and where its states lie, by the fingerprint of both."""

    dataset: Prepared
    architecture: Architecture
    initial: Snapshot | None
    checkpoints: Checkpoints


def resolve_job(p: Params, dataset: Prepared, states: Path) -> Job:
    """Resolve networks, the snapshot to start from and the folder below that of all states.

    Raises:
        TrainingError: the snapshot has other networks or classes.
    """
    architecture = resolve_architecture(
        family=p.train.family,
        size=p.train.size,
        resolution=dataset.resolution,
        channels=dataset.channels,
        num_classes=len(dataset.classes),
        z_dim=p.train.z_dim,
    )
    initial = None
    if p.train.init_from is not None:
        initial = load_snapshot(Path(p.train.init_from))
        if (initial.architecture, initial.classes) != (architecture, dataset.classes):
            raise TrainingError(
                f"train.init_from: {p.train.init_from} holds other networks or classes than params "
                f"and dataset ask for: {initial.architecture}, {initial.classes}"
            )
    run_id = fingerprint(_identity(p, dataset, initial))
    return Job(dataset, architecture, initial, Checkpoints(states, run_id))


def train(p: Params, job: Job, compute: Compute, *, out: Path, results: Path) -> None:
    """Train, write the snapshot, forget the checkpoints."""
    rows, _ = read_rows(job.dataset.shards("train"))  # in the order of the images
    with Live(str(results), dvcyaml=None, save_dvc_exp=False, monitor_system=False) as live:
        observer = LiveObserver(live)
        result = make_trainer(p, job, compute, observer).run()
        assert result is not None  # this is the first process
        observer.show_best(round(result.best["images_seen"]))
    started_from = None if job.initial is None else job.initial.generator_id
    save_snapshot(
        result.weights,
        folder=out,
        architecture=job.architecture,
        classes=job.dataset.classes,
        training={
            "fingerprint": job.checkpoints.folder.name,
            "images_seen": result.images_seen,
            "init_from": started_from,
            "best": result.best,
        },
        image_ids=rows["image_id"].tolist(),
        sound=job.dataset.sound,
    )
    job.checkpoints.clear()
    kid, seen = result.best["kid"], round(result.best["images_seen"])
    typer.echo(f"train: best snapshot after {seen} images, val KID {kid:.4f} -> {out}")


def make_trainer(
    p: Params, job: Job, compute: Compute, observer: Observer | None = None
) -> Trainer:
    """Put the parts together; without an observer, for a process that only shares the work."""
    labelled = partial(
        _read_labelled, job.dataset, compute=compute, spill_to=job.checkpoints.folder
    )
    batches = RealBatches(
        *labelled("train"),
        batch_size=p.train.batch_size,
        class_exponent=p.train.class_exponent,
        flips=job.dataset.symmetries,
        seed=p.seed,
        device=compute.device,
    )
    evaluate = None
    if observer is not None:
        evaluate = validation_score(
            ImageNetFeatures(compute.device),
            *labelled("val"),
            class_names=job.dataset.classes,
            seed=p.seed,
        )
    return Trainer(
        batches=batches,
        architecture=job.architecture,
        params=p.train,
        seed=p.seed,
        compute=compute,
        evaluate=evaluate,
        observer=observer,
        checkpoints=job.checkpoints,
        initial=None if job.initial is None else job.initial.generator.state_dict(),
    )


def _read_labelled(
    dataset: Prepared, split: str, *, compute: Compute, spill_to: Path
) -> tuple[Pixels, Labels]:
    """Images and labels of a split; the images mapped from a file if the device can't hold them.

    The file loses its name once it is mapped: no second start can write to it, and it goes with
    the process, however that dies.
    """
    num_images = sum(dataset.counts[split].values())
    if compute.fits(num_images * dataset.channels * dataset.resolution**2):
        return read_labelled(dataset.shards(split))[1:]
    spill_to.mkdir(parents=True, exist_ok=True)
    # A network drive may keep the file until it is closed; `Checkpoints.clear` then removes it.
    with tempfile.TemporaryDirectory(dir=spill_to, ignore_cleanup_errors=True) as folder:
        return read_labelled(dataset.shards(split), spill=Path(folder, "images.npy"))[1:]


def _identity(p: Params, dataset: Prepared, initial: Snapshot | None) -> dict[str, Any]:
    """All that decides the outcome of training: another run must not take over its states.

    Device, precision and the number of processes are left out, so that a run may go on elsewhere.
    """
    return {
        "modules": imported_code(Path(__file__), PACKAGE),
        "seed": p.seed,
        "train": p.train.model_dump(mode="json", exclude={*WHERE, "init_from"}),
        "init_from": None if initial is None else initial.generator_id,
        "files": {name: facts["sha256"] for name, facts in dataset.files.items()},
        "symmetries": list(dataset.symmetries),
    }


if __name__ == "__main__":
    run(app)
