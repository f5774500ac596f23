"""Quality in a given time: family "r3" against a conditional DCGAN and the real-against-real floor.

Both train on the same images with the same augmentation for the same wall-clock time, measurements
on val included: on the default dataset as long as the default budget takes, on the digits for five
minutes. Measured against the test split, which neither has seen, per class and averaged; the floor
is real training images in their place.
"""

import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ganaug.config import Params, load_params
from ganaug.gan.architecture import build_generator
from ganaug.gan.compute import choose_compute
from ganaug.gan.sampling import sample
from ganaug.preparing.prepare import prepare
from ganaug.preparing.prepared import Prepared, read_prepared
from ganaug.quality.distances import per_class
from ganaug.quality.features import ImageNetFeatures
from ganaug.shards import read_labelled
from ganaug.sources.registry import load_source
from pipeline.train import make_trainer, resolve_job

PARAMS = Path("params.yaml")
DIGITS_MINUTES = 5.0
# What the paper of Radford et al. trains with; more of our recipe would be no rival.
DCGAN: dict[str, Any] = {
    "train.family": "dcgan",
    "train.loss": "non_saturating",
    "train.lr": 2e-4,
    "train.generator_lr_ratio": 1.0,
    "train.lr_final_fraction": 1.0,
    "train.r1_gamma": 0.0,
    "train.r2_gamma": 0.0,
    "train.reconstruction_weight": 0.0,
}
SHORT_KIMG = 2.0  # thousands of images; the rate is read off runs of these and three times as many
PROBE_SEC = 8.0  # that the longer run must take more, or both are doubled


class Silent:
    """An observer that wants to know nothing."""

    def metrics(self, images_seen: int, values: dict[str, float]) -> None:
        """Ignore."""

    def samples(self, images: NDArray[np.uint8], labels: NDArray[np.int64]) -> None:
        """Ignore."""


def main() -> None:
    """Print KID and PRDC of both families and of the floor, and the figures to reach."""
    with tempfile.TemporaryDirectory() as folder:
        for source, resolution, minutes in (("elpv", 64, None), ("digits", 16, DIGITS_MINUTES)):
            dataset = prepare_source(source, resolution, Path(folder) / source)
            _compare(dataset, source, minutes, Path(folder) / f"{source}-states")


def prepare_source(source: str, resolution: int, folder: Path) -> Prepared:
    """A packaged source as the stage `prepare` writes it."""
    params = load_params(PARAMS, {"prepare.source": source, "prepare.resolution": resolution})
    given = load_source(params.prepare)
    prepare(params.prepare, seed=params.seed, out=folder, source=given)
    return read_prepared(folder)


def _compare(dataset: Prepared, source: str, minutes: float | None, states: Path) -> None:
    _, test_images, test_labels = read_labelled(dataset.shards("test"))
    _, train_images, train_labels = read_labelled(dataset.shards("train"))
    extract = ImageNetFeatures("cpu")
    real = extract(test_images)

    def measure(
        name: str, images: NDArray[np.uint8], labels: NDArray[np.int64], seconds: float
    ) -> dict[str, float]:
        values: dict[str, float] = per_class(
            real,
            test_labels,
            extract(images),
            labels,
            class_names=dataset.classes,
            seed=0,
            max_prdc_images=np.bincount(train_labels).tolist(),
        )["class_mean"]
        figures = (f"{k} {values[k]:.3f}" for k in ("kid", "precision", "recall", "coverage"))
        print(f"{source} {name}: {', '.join(figures)} ({seconds:.0f} s of training)", flush=True)
        return values

    floor = measure("floor", train_images, train_labels, 0.0)
    ours = load_params(PARAMS)
    if minutes is not None:
        ours = lasting(minutes * 60, {}, dataset, states)
    images, labels, seconds = train_for(ours, dataset, states)
    r3 = measure("r3", images, labels, seconds)
    rival = lasting(seconds, DCGAN, dataset, states)
    dcgan = measure("dcgan", *train_for(rival, dataset, states))
    shares = (f"{k} {r3[k] / floor[k]:.2f}" for k in ("precision", "recall", "coverage"))
    print(
        f"{source}: KID {r3['kid'] / floor['kid']:.2f} x the floor's, "
        f"{r3['kid'] / dcgan['kid']:.2f} x dcgan's; of the floor: {', '.join(shares)}",
        flush=True,
    )


def lasting(seconds: float, changes: dict[str, Any], dataset: Prepared, states: Path) -> Params:
    """Params whose budget takes about that long, evaluations included, from two short runs."""

    def taken(kimg: float) -> float:
        short = load_params(PARAMS, changes | {"train.kimg": kimg, "train.num_evaluations": 1})
        return train_for(short, dataset, states)[2]

    taken(kimg := SHORT_KIMG)  # warms up
    while (longer := taken(3 * kimg)) - (short := taken(kimg)) < PROBE_SEC:
        kimg *= 2
    per_kimg = (longer - short) / (2 * kimg)
    per_evaluation = max(0.0, short - kimg * per_kimg)
    left = seconds - load_params(PARAMS).train.num_evaluations * per_evaluation
    return load_params(PARAMS, changes | {"train.kimg": round(left / per_kimg, 1)})


def train_for(
    params: Params, dataset: Prepared, states: Path
) -> tuple[NDArray[np.uint8], NDArray[np.int64], float]:
    """Samples of the best snapshot with labels as in the test split, and the seconds it took."""
    job = resolve_job(params, dataset, states)
    compute = choose_compute(device="cpu", precision=params.train.precision)
    trainer = make_trainer(params, job, compute, Silent())
    began = time.monotonic()
    result = trainer.run()
    seconds = time.monotonic() - began
    assert result is not None  # this is the only process
    job.checkpoints.clear()
    generator = build_generator(job.architecture).eval()
    generator.load_state_dict(result.weights)
    labels = np.repeat(np.arange(len(dataset.classes)), list(dataset.counts["test"].values()))
    return sample(generator, labels.tolist(), list(range(len(labels)))), labels, seconds
