"""data/prepared -> models/generator: train the GAN, keep the snapshot that is best on val.

Params: seed, train. Writes: generator.safetensors and generator.json; DVCLive's metrics, curves and
sample grids. The training state lies in --checkpoints, outside DVC's outputs, so that a stopped
run goes on.
"""

from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from dvclive.live import Live
from numpy.typing import NDArray

from ganaug.budget import measured
from ganaug.config import Params, load_params
from ganaug.errors import run
from ganaug.evaluation.features import ImageNetFeatures
from ganaug.evaluation.validation import ValidationScore
from ganaug.gan.architecture import Architecture, resolve_architecture
from ganaug.gan.batches import RealBatches
from ganaug.gan.checkpoints import Checkpoints, fingerprint
from ganaug.gan.compute import choose_compute
from ganaug.gan.snapshot import save_snapshot
from ganaug.gan.trainer import Trainer
from ganaug.images import tile
from ganaug.preparing.prepared import Prepared, read_prepared
from ganaug.shards import read_images, read_rows

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)

GRID_COLUMNS = 12


class LiveObserver:
    """Hands metrics and sample grids to DVCLive, whose files `dvc metrics` and `dvc plots` read."""

    def __init__(self, live: Live) -> None:
        self._live = live

    def metrics(self, images_seen: int, values: dict[str, float]) -> None:
        """Log values at a step that counts images."""
        self._live.step = images_seen
        for name, value in values.items():
            self._live.log_metric(name, value)
        self._live.make_summary()  # type: ignore[no-untyped-call]

    def samples(self, images: NDArray[np.uint8], labels: NDArray[np.int64]) -> None:
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
    with measured("train", results / "budget.json"):
        train(p, read_prepared(prepared), out=out, results=results, checkpoints=checkpoints)


def train(p: Params, dataset: Prepared, *, out: Path, results: Path, checkpoints: Path) -> None:
    """Build the parts from the params, train, write the snapshot, forget the checkpoints."""
    architecture = resolve_architecture(
        family=p.train.family,
        size=p.train.size,
        resolution=dataset.resolution,
        channels=dataset.channels,
        num_classes=len(dataset.classes),
        z_dim=p.train.z_dim,
    )
    run_id = fingerprint(_identity(p, dataset, architecture))
    states = Checkpoints(checkpoints, run_id)
    compute = choose_compute(device=p.train.device, precision=p.train.precision)
    images, labels = _load(dataset, "train")
    val_images, val_labels = _load(dataset, "val")
    score = ValidationScore(
        ImageNetFeatures(compute.device),
        val_images,
        val_labels,
        class_names=dataset.classes,
        seed=p.seed,
    )
    batches = RealBatches(
        images,
        labels,
        batch_size=p.train.batch_size,
        class_exponent=p.train.class_exponent,
        seed=p.seed,
        device=compute.device,
    )
    with Live(str(results), dvcyaml=None, save_dvc_exp=False, monitor_system=False) as live:
        trainer = Trainer(
            batches=batches,
            architecture=architecture,
            flips=dataset.symmetries,
            params=p.train,
            seed=p.seed,
            compute=compute,
            evaluate=score,
            observer=LiveObserver(live),
            checkpoints=states,
        )
        result = trainer.run()
    save_snapshot(
        result.weights,
        folder=out,
        architecture=architecture,
        classes=dataset.classes,
        training={"fingerprint": run_id, "best": result.best},
    )
    states.clear()
    kid, seen = result.best["kid"], round(result.best["images_seen"])
    typer.echo(f"train: best snapshot after {seen} images, val KID {kid:.4f} -> {out}")


def _load(dataset: Prepared, split: str) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    paths = dataset.shards(split)
    rows, _ = read_rows(paths)
    return read_images(paths), rows["label"].to_numpy(np.int64)


def _identity(p: Params, dataset: Prepared, architecture: Architecture) -> dict[str, Any]:
    """All that decides the outcome of training: another run must not take over its states."""
    where = {"device", "precision"}
    return {
        "version": version("ganaug"),
        "seed": p.seed,
        "train": p.train.model_dump(mode="json", exclude=where),
        "architecture": architecture.to_dict(),
        "files": {name: facts["sha256"] for name, facts in dataset.files.items()},
        "symmetries": list(dataset.symmetries),
    }


if __name__ == "__main__":
    run(app)
