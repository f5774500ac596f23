"""A tiny GAN: two classes of 16 px images, networks of a few thousand weights."""

from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from ganaug.config import TrainParams
from ganaug.gan.batches import RealBatches
from ganaug.gan.checkpoints import Checkpoints
from ganaug.gan.compute import Compute
from ganaug.gan.networks import Architecture
from ganaug.gan.trainer import Trainer

CPU = Compute(device=torch.device("cpu"), bf16=False)


ARCHITECTURE = Architecture(
    family="r3", resolution=16, channels=1, num_classes=2, z_dim=8, widths=(16, 16), patch=2
)


@pytest.fixture
def architecture() -> Architecture:
    return ARCHITECTURE


@pytest.fixture
def toy_images() -> tuple[np.ndarray, np.ndarray]:
    return draw_toy_images()


def draw_toy_images() -> tuple[np.ndarray, np.ndarray]:
    """Class 0 dark, class 1 bright: [24, 16, 16, 1] uint8 and [24] int64."""
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1], 12)
    images = rng.integers(0, 80, (24, 16, 16, 1)) + labels[:, None, None, None] * 150
    return images.astype(np.uint8), labels


class Recorder:
    """An observer that remembers."""

    def __init__(self) -> None:
        self.rows: list[tuple[int, dict[str, float]]] = []
        self.grids: list[np.ndarray] = []

    def metrics(self, images_seen, values):
        self.rows.append((images_seen, values))

    def samples(self, images, labels):
        self.grids.append(images)


@pytest.fixture
def make_trainer(tmp_path, shipped_params):
    """Build a trainer of 16-image batches over `kimg`; every call sees the same checkpoints."""
    return partial(build_trainer, tmp_path / "states", shipped_params.train)


def build_trainer(
    states: Path,
    shipped: TrainParams,
    *,
    kimg=0.32,
    observer=None,
    evaluate=None,
    initial=None,
    compute=CPU,
    **changes,
) -> Trainer:
    params = shipped.model_copy(
        update={"kimg": kimg, "batch_size": 16, "z_dim": 8, "num_evaluations": 2} | changes
    )
    images, labels = draw_toy_images()
    batches = RealBatches(
        images,
        labels,
        batch_size=16,
        class_exponent=0.5,
        flips=("hflip",),
        seed=0,
        device=CPU.device,
    )
    patch = 2 if params.family in ("r3", "translator") else 1
    return Trainer(
        batches=batches,
        architecture=replace(ARCHITECTURE, family=params.family, patch=patch),
        params=params,
        seed=0,
        compute=compute,
        evaluate=evaluate or (lambda images, labels: {"kid": float(images.mean())}),
        observer=observer or Recorder(),
        checkpoints=Checkpoints(states, "run"),
        initial=initial,
    )
