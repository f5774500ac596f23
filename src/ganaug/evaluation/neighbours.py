"""Nearest neighbours in a feature space, exact and in bounded memory."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ganaug.evaluation.distances import FloatArray, Floats, squared_distances


class Nearest(NamedTuple):
    """Each query's nearest row of a pool."""

    indices: NDArray[np.int64]  # [N]
    distances: Floats  # [N], Euclidean


class ClosestPair(NamedTuple):
    """A synthetic image and its nearest training image, by row."""

    synthetic: int
    train: int
    distance: float


def nearest(queries: FloatArray, pool: FloatArray) -> Nearest:
    """The nearest row of `pool` [N, D], N >= 1, to each query [M, D]."""
    blocks = squared_distances(queries.astype(np.float64), pool.astype(np.float64))
    return _nearest(block for _, block in blocks)


def leave_one_out(rows: FloatArray) -> Nearest:
    """Each row's nearest other row, among [N, D], N >= 2."""
    return _nearest(block for _, block in others(rows))


def others(rows: FloatArray) -> Iterator[tuple[slice, Floats]]:
    """Blocks of squared distances among rows, infinite from a row to itself."""
    x = rows.astype(np.float64)
    for index, block in squared_distances(x, x):
        block[np.arange(len(block)), np.arange(index.start, index.stop)] = np.inf
        yield index, block


def closest_pairs(synthetic: FloatArray, train: FloatArray, *, k: int = 16) -> list[ClosestPair]:
    """The k synthetic images nearest to a training image, nearest first."""
    found = nearest(synthetic, train)
    order = np.argsort(found.distances, kind="stable")[:k]
    return [ClosestPair(int(i), int(found.indices[i]), float(found.distances[i])) for i in order]


def _nearest(blocks: Iterator[Floats]) -> Nearest:
    indices, squared = [np.empty(0, np.int64)], [np.empty(0)]
    for block in blocks:
        indices.append(block.argmin(axis=1))
        squared.append(block.min(axis=1))
    return Nearest(np.concatenate(indices), np.sqrt(np.concatenate(squared)))
