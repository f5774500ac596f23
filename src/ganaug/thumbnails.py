"""Standardised thumbnails of images, which hardly change under noise or dimming.

ImageNet features change much under faint noise: of 400 noisy copies of elpv training cells they
found 0.3 % as near copies, thumbnails 89 %.
"""

from collections.abc import Iterable, Sequence
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ganaug.images import Pixels

SIDE = 16  # px; divides every resolution
NAME = f"thumbnails, {SIDE} px, each with mean 0 and standard deviation 1"
FAINT = 2  # of 255; added to the deviation, so that noise in a nearly flat image stays small
AXES = {"hflip": 2, "vflip": 1}  # of [N, H, W, C]


def shrink(images: Pixels) -> NDArray[np.float32]:
    """[N, H, W, C] uint8, H = W a multiple of 16 -> [N, 256 C] in 0..255, means of blocks."""
    n, height, width, channels = images.shape
    shape = (n, SIDE, height // SIDE, SIDE, width // SIDE, channels)
    blocks: NDArray[np.float32] = images.reshape(shape).mean(axis=(2, 4), dtype=np.float32)
    return blocks.reshape(n, SIDE**2 * channels)


def standardise(small: NDArray[Any]) -> NDArray[np.float32]:
    """[N, D] of `shrink` -> the same, each row with mean 0 and, unless nearly flat, deviation 1.

    Bytes are taken as well as float32.
    """
    small = small.astype(np.float32, copy=False)
    centred: NDArray[np.float32] = small - small.mean(axis=1, keepdims=True)
    centred /= centred.std(axis=1, keepdims=True) + FAINT
    return centred


def thumbnails(images: Pixels) -> NDArray[np.float32]:
    """[N, H, W, C] uint8, H = W a multiple of 16 -> [N, 256 C], standardised.

    Rounded first, as `prepare` stores them, so that every stage computes the same distances.
    """
    return standardise(np.rint(shrink(images)))


def combine(flips: Iterable[str]) -> list[tuple[str, ...]]:
    """Every combination of the given flips, starting with none."""
    names = sorted(set(flips))
    return [some for size in range(len(names) + 1) for some in combinations(names, size)]


def flip(small: NDArray[Any], flips: Sequence[str]) -> NDArray[Any]:
    """Thumbnails [N, 256 C] of the images flipped so, exactly."""
    images = small.reshape(len(small), SIDE, SIDE, small.shape[1] // SIDE**2)
    return np.flip(images, axis=tuple(AXES[name] for name in flips)).reshape(small.shape)
