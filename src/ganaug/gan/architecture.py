"""Which networks: a family and a size as plain numbers, and the builders of each family."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from torch import Tensor

from ganaug.errors import ParamsError, SnapshotError
from ganaug.gan import r3
from ganaug.gan.networks import Discriminator, Generator

# Channels at 4x4, 8x8, 16x16, 32x32 pixels inside the networks; higher resolutions end in a larger
# pixel shuffle first (cheap), and in further stages beyond.
SIZES: dict[str, tuple[int, ...]] = {
    "tiny": (32, 32, 32, 32),
    "small": (96, 96, 64, 64),
    "medium": (256, 256, 192, 128),
    "large": (512, 512, 384, 256),
}
# Resolution to (stages, pixel shuffle): 4 * 2**(stages - 1) * patch = resolution.
STAGES: dict[int, tuple[int, int]] = {16: (2, 2), 32: (3, 2), 64: (3, 4), 128: (4, 4), 256: (4, 8)}


@dataclass(frozen=True)
class Architecture:
    """Everything needed to build a generator or discriminator again.

    Args:
        family: key of `FAMILIES`.
        resolution: pixels per side.
        channels: 1 grey, 3 RGB.
        num_classes: number of classes, >= 2.
        z_dim: length of the latent.
        widths: channels per stage, from 4x4 pixels up.
        patch: side of the pixel shuffle at the image end.
    """

    family: str
    resolution: int
    channels: int
    num_classes: int
    z_dim: int
    widths: tuple[int, ...]
    patch: int

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
    """Builders of one kind of networks."""

    generator: Callable[[Architecture], Generator]
    discriminator: Callable[[Architecture], Discriminator]


FAMILIES: dict[str, Family] = {
    "r3": Family(
        generator=lambda a: r3.R3Generator(
            num_classes=a.num_classes,
            channels=a.channels,
            z_dim=a.z_dim,
            widths=a.widths,
            patch=a.patch,
        ),
        discriminator=lambda a: r3.R3Discriminator(
            num_classes=a.num_classes, channels=a.channels, widths=a.widths, patch=a.patch
        ),
    ),
}


def resolve_architecture(
    *, family: str, size: str, resolution: int, channels: int, num_classes: int, z_dim: int
) -> Architecture:
    """Turn a size preset into widths for a resolution.

    Raises:
        ParamsError: the resolution has no layout.
    """
    if resolution not in STAGES:
        raise ParamsError(f"prepare.resolution: {resolution} is not one of {sorted(STAGES)}")
    num_stages, patch = STAGES[resolution]
    return Architecture(
        family=family,
        resolution=resolution,
        channels=channels,
        num_classes=num_classes,
        z_dim=z_dim,
        widths=SIZES[size][:num_stages],
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
