"""Batches of real images, each a pure function of (seed, step), so a resumed run sees the same."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import torch
from torch import Tensor

from ganaug.images import Indices, Labels, Pixels
from ganaug.rng import numpy_rng

Batch = tuple[Tensor, Tensor]  # [B, C, H, W] float32 in [-1, 1] and [B] int64

STATISTICS_GROUP = 8  # images of one class in a row that share a minibatch statistic
LOOKED_AT_ONCE = 64  # images; bounds memory
FLIPPED_AXIS = {"hflip": 3, "vflip": 2}


class RealBatches:
    """All training images as uint8, and how batches are drawn from them.

    An array lives on the device; an `np.memmap` stays on disk, and a thread gathers the next batch
    while the device works on this one.

    A batch consists of groups of `STATISTICS_GROUP` images of one class, so that D's minibatch
    statistic compares images of one class. Classes are drawn with weight (images)**exponent, real
    and synthetic alike, so that D can't tell them apart by class.

    Args:
        images: [N, H, W, C] uint8.
        labels: [N] int64.
        batch_size: images per step, a multiple of `STATISTICS_GROUP`.
        class_exponent: 0 draws classes equally, 1 as in the data.
        flips: "hflip", "vflip" if they keep the labels: flips real images at random, so that G
            learns all orientations.
        seed: of the whole run.
        device: holds the images.
    """

    def __init__(
        self,
        images: Pixels,
        labels: Labels,
        *,
        batch_size: int,
        class_exponent: float,
        flips: Sequence[str],
        seed: int,
        device: torch.device,
    ) -> None:
        self._labels = torch.tensor(labels, device=device)
        self._images: Tensor | Pixels = images
        self.draw: Callable[[int], Batch] = self._make  # the batch of a step
        if isinstance(images, np.memmap):
            self.draw = _Prefetch(self._make)
        else:  # on a CPU this is the array itself, not a copy
            self._images = torch.from_numpy(images).to(device)
        self._rows_of = [np.flatnonzero(labels == c) for c in range(int(labels.max()) + 1)]
        weights = np.array([float(len(rows)) for rows in self._rows_of])
        weights = np.where(weights > 0, weights**class_exponent, 0)
        self._class_probability = weights / weights.sum()
        self._batch_size = batch_size
        self.flips: tuple[str, ...] = tuple(flips)
        self._seed = seed

    def look(self, per_class: int) -> Iterator[Batch]:
        """At most `per_class` images of each class, evenly spaced, not flipped.

        Each batch holds one class.
        """
        for chosen in self._spread(per_class):
            for start in range(0, len(chosen), LOOKED_AT_ONCE):
                yield self._gather(chosen[start : start + LOOKED_AT_ONCE])

    def examples(self, per_class: int) -> tuple[Tensor, Tensor, Tensor]:
        """All that `look` yields as one batch, and the rows of these images, [N] int64."""
        rows = np.concatenate(list(self._spread(per_class)))
        images, label = self._gather(rows)
        return images, label, torch.from_numpy(rows).to(label.device)

    def _spread(self, per_class: int) -> Iterator[Indices]:
        """Rows of each class, at most `per_class` of them."""
        for rows in self._rows_of:
            yield rows[:: max(1, -(-len(rows) // per_class))]

    def _make(self, step: int) -> Batch:
        rng = numpy_rng(self._seed, "train", "batch", step)
        num_groups = self._batch_size // STATISTICS_GROUP
        classes = rng.choice(len(self._rows_of), size=num_groups, p=self._class_probability)
        rows = np.concatenate([self._draw_group(int(c), rng) for c in classes])
        images, label = self._gather(rows)
        for axis in (FLIPPED_AXIS[name] for name in self.flips):
            flipped = torch.from_numpy(rng.random(len(rows)) < 0.5).to(images.device)
            images = torch.where(flipped[:, None, None, None], images.flip(axis), images)
        return images, label

    def _gather(self, rows: Indices) -> Batch:
        chosen = torch.from_numpy(rows).to(self._labels.device)
        if isinstance(self._images, Tensor):
            images = self._images[chosen]
        else:
            images = torch.from_numpy(self._images[rows]).to(self._labels.device)
        # Contiguous, whatever the source: strides select kernels, which round differently.
        channels_first = images.permute(0, 3, 1, 2).contiguous()
        return channels_first.float().div_(127.5).sub_(1), self._labels[chosen]

    def _draw_group(self, label: int, rng: np.random.Generator) -> Indices:
        rows = self._rows_of[label]
        return rng.choice(rows, size=STATISTICS_GROUP, replace=len(rows) < STATISTICS_GROUP)


class _Prefetch:
    """Return the batch of a step; a thread makes the next one meanwhile."""

    def __init__(self, make: Callable[[int], Batch]) -> None:
        self._make = make
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="prefetch")
        self._pending: dict[int, Future[Batch]] = {}

    def __call__(self, step: int) -> Batch:
        ready = self._pending.get(step) or self._thread.submit(self._make, step)
        batch = ready.result()
        self._pending = {step + 1: self._thread.submit(self._make, step + 1)}
        return batch
