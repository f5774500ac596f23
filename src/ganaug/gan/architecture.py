"""Turn a family and a size into plain numbers, and build the networks."""

from collections.abc import Callable
from dataclasses import astuple, dataclass
from typing import Any

from ganaug.errors import ParamsError, SnapshotError
from ganaug.gan import dcgan, mlp, r3, translator, vae
from ganaug.gan.networks import Architecture, Companion, Generator

RESOLUTIONS = (16, 32, 64, 128, 256)
LARGEST, MOST_NUMBERS = 2**16, 32  # of what a description of networks may hold


@dataclass(frozen=True)
class Family:
    """A kind of networks."""

    layout: Callable[[str, int], tuple[tuple[int, ...], int]]  # (size, resolution): widths, patch
    betas: tuple[float, float]  # Adam's, of both networks
    generator: Callable[[Architecture], Generator]
    companion: Callable[[Architecture], Companion]  # a discriminator, or an encoder


FAMILIES: dict[str, Family] = {
    "r3": Family(r3.layout, r3.BETAS, r3.R3Generator, r3.R3Discriminator),
    "translator": Family(r3.layout, r3.BETAS, translator.Translator, r3.R3Discriminator),
    "dcgan": Family(dcgan.layout, dcgan.BETAS, dcgan.DcganGenerator, dcgan.DcganDiscriminator),
    "mlp": Family(mlp.layout, mlp.BETAS, mlp.MlpGenerator, mlp.MlpDiscriminator),
    "vae": Family(dcgan.layout, vae.BETAS, dcgan.DcganGenerator, vae.VaeEncoder),
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
    if type(architecture.family) is not str or architecture.family not in FAMILIES:
        known = ", ".join(FAMILIES)
        raise SnapshotError(f"network family {architecture.family!r:.50} is not one of {known}")
    numbers = (*astuple(architecture)[1:5], architecture.patch, *architecture.widths)
    if len(numbers) > MOST_NUMBERS or not all(type(n) is int and 0 < n <= LARGEST for n in numbers):
        raise SnapshotError(
            f"architecture not understood: {numbers!s:.100}, not all in 1..{LARGEST}"
        )
    return architecture


def build_generator(architecture: Architecture) -> Generator:
    """A generator with fresh weights from torch's global stream (seed it first)."""
    return FAMILIES[architecture.family].generator(architecture)


def build_companion(architecture: Architecture) -> Companion:
    """What G learns with, with fresh weights from torch's global stream (seed it first)."""
    return FAMILIES[architecture.family].companion(architecture)
