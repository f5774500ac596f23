"""Turn a family and a size into plain numbers, and build the networks."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ganaug.errors import ParamsError, SnapshotError
from ganaug.gan import dcgan, mlp, r3
from ganaug.gan.networks import Architecture, Discriminator, Generator

RESOLUTIONS = (16, 32, 64, 128, 256)


@dataclass(frozen=True)
class Family:
    """A kind of networks."""

    layout: Callable[[str, int], tuple[tuple[int, ...], int]]  # (size, resolution): widths, patch
    betas: tuple[float, float]  # Adam's, of both networks
    generator: Callable[[Architecture], Generator]
    discriminator: Callable[[Architecture], Discriminator]


def _r3_layout(size: str, resolution: int) -> tuple[tuple[int, ...], int]:
    # Channels at 4x4, 8x8, ... inside the networks. Patches of 2 pixels cost twice the time of
    # patches of 4 and are worth it; higher resolutions can't afford them.
    widths = {
        "tiny": (32, 32, 32, 32, 32),
        "small": (96, 96, 64, 32, 32),
        "medium": (256, 256, 192, 128, 64),
        "large": (512, 512, 384, 256, 128),
    }
    num_stages, patch = {16: (2, 2), 32: (3, 2), 64: (4, 2), 128: (4, 4), 256: (5, 4)}[resolution]
    return widths[size][:num_stages], patch


def _dcgan_layout(size: str, resolution: int) -> tuple[tuple[int, ...], int]:
    # "small" at 64 pixels is 512, 256, 128, 64: the paper's generator at half its width, the sizes
    # of PyTorch's example.
    base = {"tiny": 8, "small": 64, "medium": 96, "large": 128}[size]
    num_stages = int(math.log2(resolution / 4))
    return tuple(base * min(8, 2**i) for i in reversed(range(num_stages))), 1


def _mlp_layout(size: str, _resolution: int) -> tuple[tuple[int, ...], int]:
    base = {"tiny": 32, "small": 256, "medium": 512, "large": 1024}[size]
    return (base, 2 * base, 4 * base), 1


FAMILIES: dict[str, Family] = {
    "r3": Family(
        layout=_r3_layout,
        betas=(0.0, 0.99),  # no momentum against a moving opponent, as in StyleGAN2 and R3GAN
        generator=r3.R3Generator,
        discriminator=r3.R3Discriminator,
    ),
    "dcgan": Family(
        layout=_dcgan_layout,
        betas=(0.5, 0.999),  # as in the paper
        generator=dcgan.DcganGenerator,
        discriminator=dcgan.DcganDiscriminator,
    ),
    "mlp": Family(
        layout=_mlp_layout,
        betas=(0.5, 0.999),
        generator=mlp.MlpGenerator,
        discriminator=mlp.MlpDiscriminator,
    ),
}


def resolve_architecture(
    *, family: str, size: str, resolution: int, channels: int, num_classes: int, z_dim: int
) -> Architecture:
    """Turn a family's size preset into widths for a resolution.

    Raises:
        ParamsError: the resolution has no layout.
    """
    if resolution not in RESOLUTIONS:
        known = ", ".join(map(str, RESOLUTIONS))
        raise ParamsError(f"prepare.resolution: {resolution} is not one of {known}")
    widths, patch = FAMILIES[family].layout(size, resolution)
    return Architecture(family, resolution, channels, num_classes, z_dim, widths, patch)


def read_architecture(content: dict[str, Any]) -> Architecture:
    """An architecture from its fields as JSON holds them.

    Raises:
        SnapshotError: a field is missing, unknown, or the family is not known here.
    """
    try:
        architecture = Architecture(**content | {"widths": tuple(content["widths"])})
    except (KeyError, TypeError) as error:
        raise SnapshotError(f"architecture not understood: {error}") from None
    if architecture.family not in FAMILIES:
        known = ", ".join(FAMILIES)
        raise SnapshotError(f"network family '{architecture.family}' is not one of {known}")
    return architecture


def build_generator(architecture: Architecture) -> Generator:
    """A generator with fresh weights from torch's global stream (seed it first)."""
    return FAMILIES[architecture.family].generator(architecture)


def build_discriminator(architecture: Architecture) -> Discriminator:
    """A discriminator with fresh weights from torch's global stream (seed it first)."""
    return FAMILIES[architecture.family].discriminator(architecture)
