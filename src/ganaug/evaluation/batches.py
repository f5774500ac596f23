"""Which images share a classifier's batch: shuffled rounds, balanced classes, a synthetic share."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ganaug.images import Pixels
from ganaug.rng import numpy_rng

Labels = NDArray[np.int64]
Indices = NDArray[np.int64]


@dataclass(frozen=True)
class SyntheticPool:
    """Synthetic images that fill a fixed share of every batch, however many there are."""

    images: Pixels  # [M, H, W, C]
    labels: Labels  # [M]
    weights: NDArray[np.float32]  # [M], > 0, of each image in the loss; a real image's is 1
    batch_fraction: float  # 0 < share <= 1; at 1 no real image is used
    rows: Indices | None = None  # of these, the ones that are used; None: all


@dataclass(frozen=True)
class Batch:
    """Rows of one optimiser step, real ones first."""

    images: Pixels  # [B, H, W, C]
    labels: Labels  # [B]
    weights: NDArray[np.float32]  # [B], in the loss


def endless_batches(
    images: Pixels,
    labels: Labels,
    *,
    rows: Indices | None = None,
    batch_size: int,
    class_balanced: bool,
    synthetic: SyntheticPool | None,
    seed: int,
) -> Iterator[Batch]:
    """Batches without end; every image is used once before any is used again.

    Args:
        images: [N, H, W, C] uint8, real; may be a memory map.
        labels: [N].
        rows: indices of the images that are used; None: all.
        batch_size: B, real and synthetic together.
        class_balanced: whether each class with real images is drawn equally often; within a class,
            every real image is used once before any is used again.
        synthetic: None for real images only.
        seed: real and synthetic rows come from streams of their own.
    """
    rng = numpy_rng(seed, "real")
    rows = np.arange(len(labels)) if rows is None else rows
    real = _balanced_order(labels[rows], rng) if class_balanced else _endless_order(len(rows), rng)
    if synthetic is None:
        while True:
            some = rows[np.fromiter(real, np.int64, batch_size)]
            yield Batch(images[some], labels[some], np.ones(batch_size, np.float32))
    num_synthetic = round(batch_size * synthetic.batch_fraction)
    if synthetic.batch_fraction < 1:  # a mix holds both, however small the share
        num_synthetic = min(max(1, num_synthetic), batch_size - 1)
    num_real = batch_size - num_synthetic
    pool = np.arange(len(synthetic.labels)) if synthetic.rows is None else synthetic.rows
    made = _endless_order(len(pool), numpy_rng(seed, "synthetic"))
    while True:
        some = rows[np.fromiter(real, np.int64, num_real)]
        more = pool[np.fromiter(made, np.int64, num_synthetic)]
        yield Batch(
            np.concatenate([images[some], synthetic.images[more]]),
            np.concatenate([labels[some], synthetic.labels[more]]),
            np.concatenate([np.ones(num_real, np.float32), synthetic.weights[more]]),
        )


def _endless_order(n: int, rng: np.random.Generator) -> Iterator[int]:
    """Every index once per round, in a new random order each round."""
    while True:
        yield from rng.permutation(n).tolist()


def _balanced_order(labels: Labels, rng: np.random.Generator) -> Iterator[int]:
    """Every class once per round; within a class, every index once per round of its own."""
    rows = [np.flatnonzero(labels == label) for label in np.unique(labels)]
    orders = [
        _endless_order(len(r), child) for r, child in zip(rows, rng.spawn(len(rows)), strict=True)
    ]
    for position in _endless_order(len(rows), rng):
        yield int(rows[position][next(orders[position])])
