"""Quality in a given time: family "r3" against a conditional DCGAN and the real-against-real floor.

Both train on the same images with the same augmentation for the same wall-clock time, on the
default dataset for the default budget and on the digits for five minutes. Measured against the test
split, which neither has seen, per class and averaged; the floor is real training images in their
place.
"""

import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from ganaug.config import Params, TrainParams, load_params
from ganaug.evaluation.distances import per_class
from ganaug.evaluation.features import ImageNetFeatures
from ganaug.evaluation.validation import ValidationScore
from ganaug.gan.architecture import build_generator, resolve_architecture
from ganaug.gan.batches import RealBatches
from ganaug.gan.checkpoints import Checkpoints
from ganaug.gan.compute import choose_compute
from ganaug.gan.sampling import sample
from ganaug.gan.trainer import Trainer
from ganaug.preparing.prepare import prepare
from ganaug.preparing.prepared import Prepared, read_prepared
from ganaug.shards import read_images, read_rows
from ganaug.sources.registry import load_source

DIGITS_MINUTES = 5.0
# What the paper of Radford et al. trains with; more of our recipe would be no rival.
DCGAN = {
    "family": "dcgan",
    "loss": "non_saturating",
    "lr": 2e-4,
    "generator_lr_ratio": 1.0,
    "lr_final_fraction": 1.0,
    "r1_gamma": 0.0,
    "r2_gamma": 0.0,
    "reconstruction_weight": 0.0,
}
WARM_UP_STEPS = 30


class Silent:
    """An observer that wants to know nothing."""

    def metrics(self, images_seen: int, values: dict[str, float]) -> None:
        """Ignore."""

    def samples(self, images: np.ndarray, labels: np.ndarray) -> None:
        """Ignore."""


def main() -> None:
    """Print KID and PRDC of both families and of the floor, and the figures to reach."""
    params = load_params(Path("params.yaml"))
    with tempfile.TemporaryDirectory() as folder:
        for source, resolution, minutes in (("elpv", 64, None), ("digits", 16, DIGITS_MINUTES)):
            dataset = prepare_source(params, source, resolution, Path(folder) / source)
            _compare(params, dataset, source, minutes, Path(folder) / f"{source}-states")


def prepare_source(params: Params, source: str, resolution: int, folder: Path) -> Prepared:
    """A packaged source as the stage `prepare` writes it."""
    section = params.prepare.model_copy(update={"source": source, "resolution": resolution})
    prepare(section, seed=params.seed, out=folder, source=load_source(section), num_workers=1)
    return read_prepared(folder)


def _compare(
    params: Params, dataset: Prepared, source: str, minutes: float | None, states: Path
) -> None:
    test = _load(dataset, "test")
    extract = ImageNetFeatures("cpu")
    real = extract(test[0])
    train_images, train_labels = _load(dataset, "train")
    limit = np.bincount(train_labels)

    def distances(images: np.ndarray, labels: np.ndarray) -> dict[str, float]:
        return per_class(
            real,
            test[1],
            extract(images),
            labels,
            class_names=dataset.classes,
            seed=0,
            max_prdc_images=limit.tolist(),
        )["class_mean"]

    floor = distances(train_images, train_labels)
    _print(source, "floor", 0.0, floor)
    ours = params.train
    if minutes is not None:
        rate = _images_per_second(params, ours, dataset, states)
        ours = ours.model_copy(update={"kimg": rate * minutes * 60 / 1000})
    images, seconds = train_for(params, ours, dataset, states / "r3")
    r3 = distances(*images)
    _print(source, "r3", seconds, r3)
    rival = params.train.model_copy(update=DCGAN)
    rate = _images_per_second(params, rival, dataset, states)
    rival = rival.model_copy(update={"kimg": rate * seconds / 1000})
    images, seconds = train_for(params, rival, dataset, states / "dcgan")
    dcgan = distances(*images)
    _print(source, "dcgan", seconds, dcgan)
    shares = {name: r3[name] / floor[name] for name in ("precision", "recall", "coverage")}
    print(
        f"{source}: KID {r3['kid'] / floor['kid']:.2f} x the floor's, "
        f"{r3['kid'] / dcgan['kid']:.2f} x dcgan's; of the floor: "
        + ", ".join(f"{name} {share:.2f}" for name, share in shares.items()),
        flush=True,
    )


def _print(source: str, name: str, seconds: float, values: dict[str, float]) -> None:
    figures = ", ".join(f"{k} {values[k]:.3f}" for k in ("kid", "precision", "recall", "coverage"))
    print(f"{source} {name}: {figures} ({seconds:.0f} s of training)", flush=True)


def _images_per_second(
    params: Params, train: TrainParams, dataset: Prepared, states: Path
) -> float:
    short = train.model_copy(update={"kimg": WARM_UP_STEPS * train.batch_size / 1000})
    train_for(params, short, dataset, states / "warm-up")
    _, seconds = train_for(params, short, dataset, states / "rate")
    return WARM_UP_STEPS * train.batch_size / seconds


def train_for(
    params: Params, train: TrainParams, dataset: Prepared, states: Path
) -> tuple[tuple[np.ndarray, np.ndarray], float]:
    """Samples of the best snapshot, as many of each class as the test split has, and the time."""
    architecture = resolve_architecture(
        family=train.family,
        size=train.size,
        resolution=dataset.resolution,
        channels=dataset.channels,
        num_classes=len(dataset.classes),
        z_dim=train.z_dim,
    )
    images, labels = _load(dataset, "train")
    batches = RealBatches(
        images,
        labels,
        batch_size=train.batch_size,
        class_exponent=train.class_exponent,
        flips=dataset.symmetries,
        seed=params.seed,
        device=torch.device("cpu"),
    )
    compute = choose_compute(device="cpu", precision=train.precision)
    val = ValidationScore(
        ImageNetFeatures("cpu"), *_load(dataset, "val"), class_names=dataset.classes, seed=0
    )
    evaluation_seconds = 0.0

    def evaluate(images: np.ndarray, labels: np.ndarray) -> dict[str, float]:
        nonlocal evaluation_seconds
        began = time.monotonic()
        values = val(images, labels)
        evaluation_seconds += time.monotonic() - began
        return values

    checkpoints = Checkpoints(states, "run")
    checkpoints.clear()
    trainer = Trainer(
        batches=batches,
        architecture=architecture,
        params=train,
        seed=params.seed,
        compute=compute,
        evaluate=evaluate,
        observer=Silent(),
        checkpoints=checkpoints,
    )
    began = time.monotonic()
    result = trainer.run()
    seconds = time.monotonic() - began - evaluation_seconds
    generator = build_generator(architecture).eval()
    generator.load_state_dict(result.weights)
    counts = np.bincount(_load(dataset, "test")[1])
    labels = np.repeat(np.arange(len(counts)), counts)
    return (sample(generator, labels.tolist(), list(range(len(labels)))), labels), seconds


def _load(dataset: Prepared, split: str) -> tuple[np.ndarray, np.ndarray]:
    paths = dataset.shards(split)
    return read_images(paths), read_rows(paths)[0]["label"].to_numpy(np.int64)
