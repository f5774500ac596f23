"""Classical augmentation, by albumentations: the baseline that synthetic images have to beat.

Applied in the training process itself, batch by batch, from one stream that never restarts. With
DataLoader workers albumentations 2.0.8 would repeat the same augmentation every epoch, which
cripples the baseline and so flatters the GAN.
"""

import os
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from types import ModuleType
from typing import Any

import numpy as np

from ganaug.config import ClassicalParams
from ganaug.errors import GanaugError
from ganaug.images import Pixels
from ganaug.rng import derive_seed

MASKED = 8  # an eighth of the time, and of the frequencies, at most


class ClassicalAugmentation:
    """Random flips, small shift, scale and rotation, and small brightness and contrast changes.

    Of spectrograms: a shift in time, gain, and masking of some time and some frequencies, as in
    Park et al., "SpecAugment" (2019), with silence for the mask.

    Args:
        symmetries: flips that keep every label, of "hflip" and "vflip"; only these are used.
        magnitudes: section `evaluate.classical`.
        seed: equal seeds give the same stream; each call goes on in it.
        spectrogram_side: pixels per side of spectrograms; None for other images.
    Raises:
        GanaugError: the AGPL fork albumentationsx has taken the place of albumentations.
    """

    def __init__(
        self,
        symmetries: Sequence[str],
        magnitudes: ClassicalParams,
        *,
        seed: int,
        spectrogram_side: int | None = None,
    ) -> None:
        A, most = _albumentations(), magnitudes
        import cv2

        flips = {"hflip": A.HorizontalFlip(p=0.5), "vflip": A.VerticalFlip(p=0.5)}
        moved = A.Affine(
            translate_percent=(-most.max_shift, most.max_shift),
            scale=(1 - most.max_scale, 1 + most.max_scale),
            rotate=(-most.max_rotation, most.max_rotation),
            border_mode=cv2.BORDER_REFLECT_101,
            p=0.5,
        )
        toned = A.RandomBrightnessContrast(most.max_brightness, most.max_contrast, p=0.5)
        changes = [*(flips[name] for name in sorted(symmetries)), moved, toned]
        self._compose = A.Compose(
            _of_sound(A, most, spectrogram_side) if spectrogram_side else changes
        )
        self.reseed(seed)

    def __call__(self, images: Pixels) -> Pixels:
        """[N, H, W, C] uint8 -> the same shape, each image changed on its own."""
        changed = [self._compose(image=image)["image"] for image in images]
        return np.stack(changed).reshape(images.shape)

    @classmethod
    def from_dict(cls, policy: dict[str, Any]) -> "ClassicalAugmentation":
        """The policy that `to_dict` wrote; call `reseed` before use."""
        augmentation = cls.__new__(cls)
        augmentation._compose = _albumentations().from_dict(policy)
        return augmentation

    def reseed(self, seed: int) -> None:
        """Start the stream again, at another place."""
        self._compose.set_random_seed(derive_seed(seed, "classical") % 2**32)

    def to_dict(self) -> dict[str, Any]:
        """The policy as plain values, for metrics.json."""
        policy: dict[str, Any] = _albumentations().to_dict(self._compose)
        return policy


def _of_sound(A: ModuleType, most: ClassicalParams, side: int) -> list[Any]:
    """Changes of a log-mel spectrogram, in which adding to all values is gain."""
    shift, masked = {"x": (-most.max_shift, most.max_shift), "y": (0, 0)}, (1, side // MASKED)
    return [
        A.Affine(translate_percent=shift, p=0.5),
        A.RandomBrightnessContrast(most.max_brightness, 0, p=0.5),
        A.XYMasking(num_masks_x=(1, 1), mask_x_length=masked, p=0.5),
        A.XYMasking(num_masks_y=(1, 1), mask_y_length=masked, p=0.5),
    ]


def _albumentations() -> ModuleType:
    """The MIT-licensed package, with its look-up of new versions off."""
    os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")
    try:
        found = version("albumentationsx")
    except PackageNotFoundError:
        import albumentations

        return albumentations  # type: ignore[no-any-return]
    raise GanaugError(
        f"albumentationsx {found} is installed in place of albumentations; its AGPL licence binds "
        "what is built on it: pip uninstall albumentationsx && pip install albumentations==2.0.8"
    )
