"""Random images of four classes, and a step of the default networks: what the GAN costs on any."""

import numpy as np
import torch
from torch import Tensor

from ganaug.config import TrainParams
from ganaug.gan.architecture import resolve_architecture
from ganaug.gan.batches import Batch, RealBatches
from ganaug.gan.compute import Compute
from ganaug.gan.networks import Architecture
from ganaug.gan.schedules import penalty_scale
from ganaug.gan.step import Networks, Step
from ganaug.gan.trainer import make_objective

SIDE = 64  # px
NUM_CLASSES = 4


def default_architecture(channels: int, z_dim: int) -> Architecture:
    """Family "r3", small, for images of `SIDE` px."""
    return resolve_architecture(
        family="r3",
        size="small",
        resolution=SIDE,
        channels=channels,
        num_classes=NUM_CLASSES,
        z_dim=z_dim,
    )


def random_batches(
    num_images: int, channels: int, params: TrainParams, device: torch.device
) -> RealBatches:
    """Batches to train on, classes equally often."""
    shape = (num_images, SIDE, SIDE, channels)
    return RealBatches(
        np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8),
        np.arange(num_images) % NUM_CLASSES,
        batch_size=params.batch_size,
        class_exponent=params.class_exponent,
        flips=(),
        seed=0,
        device=device,
    )


def take_step(
    networks: Networks,
    batch: Batch,
    z: Tensor,
    *,
    params: TrainParams,
    compute: Compute,
    stream: torch.Generator,
    number: int,
) -> None:
    """Update D and G on a batch and latents; the step's number says whether penalties are due."""
    Step(
        networks,
        make_objective(params),
        compute,
        stream,
        penalty_scale=penalty_scale(number, interval=params.penalty_interval),
        updates_generator=True,
        reconstruction_weight=1.0,
    ).take(*batch, z)
