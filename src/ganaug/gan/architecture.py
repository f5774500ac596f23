"""Which networks: a family and a size as plain numbers, and the builders of each family."""

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from torch import Tensor

from ganaug.errors import ParamsError, SnapshotError
from ganaug.gan import dcgan, mlp, r3
from ganaug.gan.networks import COARSE, Discriminator, Generator

SIZES = ("tiny", "small", "medium", "large")
RESOLUTIONS = (16, 32, 64, 128, 256)


@dataclass(frozen=True)
class Architecture:
    """Everything needed to build a generator or discriminator again.

    Args:
        family: key of `FAMILIES`.
        resolution: pixels per side.
        channels: 1 grey, 3 RGB.
        num_classes: number of classes, >= 2.
        z_dim: length of the latent.
        widths: channels per stage from 4x4 pixels up, or units per hidden layer.
        patch: side of the patches at the image end; 1 in families that end in pixels.
    """

    family: str
    resolution: int
    channels: int
    num_classes: int
    z_dim: int
    widths: tuple[int, ...]
    patch: int

    @property
    def code_dim(self) -> int:
        """Length of a real image's code, which stands in for as many numbers of the latent."""
        return min(self.z_dim // 2, self.channels * min(COARSE, self.resolution // 2) ** 2)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        return asdict(self) | {"widths": list(self.widths)}

    @classmethod
    def from_dict(cls, content: dict[str, Any]) -> "Architecture":
        """The inverse of `to_dict`.

        Raises:
            SnapshotError: a key is missing, unknown, or the family is not known here.
        """
        try:
            architecture = cls(**content | {"widths": tuple(content["widths"])})
        except (KeyError, TypeError) as error:
            raise SnapshotError(f"architecture not understood: {error}") from None
        if architecture.family not in FAMILIES:
            known = ", ".join(FAMILIES)
            raise SnapshotError(f"network family '{architecture.family}' is not one of {known}")
        return architecture


@dataclass(frozen=True)
class Family:
    """One kind of networks.

    Args:
        layout: (size, resolution) to (widths, patch).
        betas: Adam's, of both networks.
        generator, discriminator: builders.
    """

    layout: Callable[[str, int], tuple[tuple[int, ...], int]]
    betas: tuple[float, float]
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
        generator=lambda a: r3.R3Generator(
            num_classes=a.num_classes,
            channels=a.channels,
            z_dim=a.z_dim,
            widths=a.widths,
            patch=a.patch,
        ),
        discriminator=lambda a: r3.R3Discriminator(
            num_classes=a.num_classes,
            channels=a.channels,
            code_dim=a.code_dim,
            widths=a.widths,
            patch=a.patch,
        ),
    ),
    "dcgan": Family(
        layout=_dcgan_layout,
        betas=(0.5, 0.999),  # the paper's
        generator=lambda a: dcgan.DcganGenerator(
            num_classes=a.num_classes, channels=a.channels, z_dim=a.z_dim, widths=a.widths
        ),
        discriminator=lambda a: dcgan.DcganDiscriminator(
            num_classes=a.num_classes,
            channels=a.channels,
            resolution=a.resolution,
            widths=a.widths,
        ),
    ),
    "mlp": Family(
        layout=_mlp_layout,
        betas=(0.5, 0.999),
        generator=lambda a: mlp.MlpGenerator(
            num_classes=a.num_classes,
            channels=a.channels,
            resolution=a.resolution,
            z_dim=a.z_dim,
            widths=a.widths,
        ),
        discriminator=lambda a: mlp.MlpDiscriminator(
            num_classes=a.num_classes,
            channels=a.channels,
            resolution=a.resolution,
            widths=a.widths,
        ),
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
    return Architecture(
        family=family,
        resolution=resolution,
        channels=channels,
        num_classes=num_classes,
        z_dim=z_dim,
        widths=widths,
        patch=patch,
    )


def build_generator(architecture: Architecture) -> Generator:
    """A generator with fresh weights from torch's global stream (seed it first)."""
    return FAMILIES[architecture.family].generator(architecture)


def build_discriminator(architecture: Architecture) -> Discriminator:
    """A discriminator with fresh weights from torch's global stream (seed it first)."""
    return FAMILIES[architecture.family].discriminator(architecture)


def to_unit_range(images: Tensor) -> Tensor:
    """uint8 0..255 to float32 in [-1, 1]."""
    return images.float().div_(127.5).sub_(1)


def to_uint8(images: Tensor) -> Tensor:
    """Float in [-1, 1] to uint8 0..255, rounded."""
    return images.float().add(1).mul(127.5).round().clamp(0, 255).byte()
