"""Batches of real images: each a pure function of (seed, step), so a resumed run meets the same."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ganaug.gan.architecture import to_unit_range
from ganaug.gan.r3 import STATISTICS_GROUP
from ganaug.rng import numpy_rng

FLIPPED_AXIS = {"hflip": 3, "vflip": 2}


class RealBatches:
    """All training images, resident on the device as uint8, and how batches are drawn from them.

    A batch is made of groups of `STATISTICS_GROUP` images of one class each: D's minibatch
    statistic then compares like with like. Classes are drawn with weight (images)**exponent, for
    reals and synthetics alike, so that D can't tell them apart by the class alone.

    Args:
        images: [N, H, W, C] uint8.
        labels: [N] int64.
        batch_size: images a step, a multiple of `STATISTICS_GROUP`.
        class_exponent: 0 draws classes equally, 1 as they come.
        flips: "hflip", "vflip": those that keep the labels. Reals are flipped at random, synthetics
            are not: G has to learn both orientations, which is variety for nothing.
        seed: of the whole run.
        device: where the images live.
    """

    def __init__(
        self,
        images: NDArray[np.uint8],
        labels: NDArray[np.int64],
        *,
        batch_size: int,
        class_exponent: float,
        flips: Sequence[str],
        seed: int,
        device: torch.device,
    ) -> None:
        self._labels = torch.from_numpy(labels).to(device)
        stacked = torch.from_numpy(np.ascontiguousarray(images)).permute(0, 3, 1, 2)
        self._images = stacked.contiguous().to(device)  # [N, C, H, W]
        self._rows_of = [np.flatnonzero(labels == c) for c in range(int(labels.max()) + 1)]
        weights = np.array([float(len(rows)) for rows in self._rows_of])
        weights = np.where(weights > 0, weights**class_exponent, 0)
        self._class_probability = weights / weights.sum()
        self._batch_size = batch_size
        self._flipped_axes = [FLIPPED_AXIS[name] for name in flips]
        self._seed = seed

    def look(self, count: int) -> tuple[Tensor, Tensor]:
        """`count` images at most, evenly spread: [N, C, H, W] float32 in [-1, 1], [N] int64."""
        stride = max(1, -(-len(self._images) // count))
        return to_unit_range(self._images[::stride]), self._labels[::stride]

    def draw(self, step: int) -> tuple[Tensor, Tensor]:
        """The batch of a step: [B, C, H, W] float32 in [-1, 1] and [B] int64."""
        rng = numpy_rng(self._seed, "train", "batch", step)
        num_groups = self._batch_size // STATISTICS_GROUP
        classes = rng.choice(len(self._rows_of), size=num_groups, p=self._class_probability)
        rows = np.concatenate([self._draw_group(int(c), rng) for c in classes])
        device = self._images.device
        chosen = torch.from_numpy(rows).to(device)
        images = to_unit_range(self._images[chosen])
        for axis in self._flipped_axes:
            flipped = torch.from_numpy(rng.random(len(rows)) < 0.5).to(device)
            images = torch.where(flipped[:, None, None, None], images.flip(axis), images)
        return images, self._labels[chosen]

    def _draw_group(self, label: int, rng: np.random.Generator) -> NDArray[np.int64]:
        rows = self._rows_of[label]
        return rng.choice(rows, size=STATISTICS_GROUP, replace=len(rows) < STATISTICS_GROUP)
