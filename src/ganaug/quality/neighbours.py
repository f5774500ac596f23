"""Nearest neighbours in a feature space, in bounded memory; exact but for `Cells`."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ganaug.images import Groups, Indices

BLOCK_ROWS = 1024
LOOKED_INTO = 32  # cells, of those whose centres are nearest to a query
MOST_DISTANCES = 2**22  # at once, so that blocks of a large set have fewer rows
TINY = 1e-9  # keeps ratios finite where images have duplicates

FloatArray = NDArray[np.floating[Any]]
Floats = NDArray[np.float64]
Variants = Callable[[FloatArray], Sequence[FloatArray]]  # the same images, flipped in each way


def spread_out(number: int, most: int) -> Indices:
    """At most so many indices below `number`, evenly spaced."""
    return np.unique(np.linspace(0, number - 1, most).astype(int)) if number else np.arange(0)


def as_they_stand(rows: FloatArray) -> Sequence[FloatArray]:
    """No flips."""
    return (rows,)


def squared_distances(
    x: FloatArray, y: FloatArray, *, variants: Variants = as_they_stand
) -> Iterator[tuple[slice, Floats]]:
    """Blocks (rows of x, squared Euclidean distances [B, len(y)]), the least over x's variants."""
    y = y.astype(np.float64, copy=False)
    y_norm = (y * y).sum(axis=1)
    height = max(1, min(BLOCK_ROWS, MOST_DISTANCES // max(1, len(y))))
    for start in range(0, len(x), height):
        rows = slice(start, min(start + height, len(x)))
        least = np.full((len(x[rows]), len(y)), np.inf)
        for variant in variants(x[rows]):
            block = variant.astype(np.float64, copy=False)
            found = (block * block).sum(axis=1)[:, None] + y_norm[None] - 2 * block @ y.T
            np.minimum(least, found, out=least)
        yield rows, np.maximum(least, 0)


def distances_between(x: FloatArray, y: FloatArray) -> Floats:
    """[M, N] Euclidean distances, all at once."""
    blocks = [np.sqrt(block) for _, block in squared_distances(x, y)]
    return np.concatenate(blocks) if blocks else np.empty((0, len(y)))


def nearest(
    queries: FloatArray,
    pool: FloatArray,
    *,
    variants: Variants = as_they_stand,
    but: Indices | None = None,
) -> tuple[Floats, Indices]:
    """Distance [M] and index [M] of the row of `pool` [N, D], N >= 1, nearest to each query.

    `but` [M] names a row that does not count for a query, -1 none; N > 1 then.
    """
    distances, indices = np.empty(len(queries)), np.empty(len(queries), np.int64)
    for rows, block in squared_distances(queries, pool, variants=variants):
        if but is not None:
            leave_out(block, but[rows])
        indices[rows] = block.argmin(axis=1)
        distances[rows] = np.sqrt(block.min(axis=1))
    return distances, indices


def leave_out(block: NDArray[np.floating[Any]], but: Indices) -> None:
    """Make the distance [M, N] to column but[m] of row m infinite, where that is not -1."""
    (named,) = np.nonzero(but >= 0)
    block[named, but[named]] = np.inf


class Cells:
    """Rows sorted into cells around some of them, so that a search need not look at all.

    What it finds may not be the nearest row, if that lies in none of the `LOOKED_INTO` cells whose
    centres are nearest to the query; it is seldom much further (docs/scale.md has figures).

    Args:
        rows: [N, D].
        centres: [C] indices of rows; a search looks at C + N / C * LOOKED_INTO rows.
    Source: the inverted file of Jegou et al. 2011, IEEE TPAMI 33:117, without compression.
    """

    def __init__(self, rows: FloatArray, centres: Indices) -> None:
        # Of centres that coincide, one gets all the rows; the others' cells are left out.
        used, cell_of = np.unique(nearest(rows, rows[centres])[1], return_inverse=True)
        self._rows, self._centres = rows, rows[centres[used]]
        # Members of the first cell, of the second, ..., and where each cell begins.
        self._members = np.argsort(cell_of, kind="stable")
        self._starts = np.searchsorted(cell_of[self._members], np.arange(len(used) + 1))

    def nearest(self, queries: FloatArray, *, but: Indices | None = None) -> tuple[Floats, Indices]:
        """As the function `nearest` of all rows."""
        distances, indices = np.empty(len(queries)), np.empty(len(queries), np.int64)
        starts = self._starts.tolist()
        for own, block in squared_distances(queries, self._centres):
            number = min(LOOKED_INTO, block.shape[1])
            cells = np.argpartition(block, number - 1, axis=1)[:, :number]
            for query, looked_into in zip(range(own.start, own.stop), cells, strict=True):
                parts = [self._members[starts[cell] : starts[cell + 1]] for cell in looked_into]
                members = np.concatenate(parts)
                if but is not None:
                    members = members[members != but[query]]
                found, at = nearest(queries[query : query + 1], self._rows[members])
                distances[query], indices[query] = found[0], members[at[0]]
        return distances, indices


def nearest_others(
    rows: FloatArray,
    *,
    k: int,
    groups: Groups | None = None,
    variants: Variants = as_they_stand,
    asked: Indices | None = None,
) -> tuple[Floats, Indices]:
    """Distances and indices [Q, k] of the k nearest other rows, nearest first, of N > k rows.

    Of the Q rows that are `asked`, or of all. With `groups` [N] only rows of other groups count;
    the distance is infinite where there is none.
    """
    groups = np.arange(len(rows)) if groups is None else groups
    asked = np.arange(len(rows)) if asked is None else asked
    distances, indices = np.empty((len(asked), k)), np.empty((len(asked), k), np.int64)
    for own, block in squared_distances(rows[asked], rows, variants=variants):
        block[groups[asked[own], None] == groups] = np.inf
        found = np.argpartition(block, k - 1, axis=1)[:, :k]
        order = np.argsort(np.take_along_axis(block, found, axis=1), axis=1, kind="stable")
        indices[own] = np.take_along_axis(found, order, axis=1)
        distances[own] = np.sqrt(np.take_along_axis(block, indices[own], axis=1))
    return distances, indices


def copy_ratios(
    rows: FloatArray,
    *,
    groups: Groups | None = None,
    variants: Variants = as_they_stand,
    asked: Indices | None = None,
) -> tuple[Floats, Floats]:
    """Distance [Q] of each asked row to its nearest other row, and the copy ratios of these rows.

    A copy ratio is this distance over the distance of the nearest row to its own nearest one, as if
    the first row were not there. With `groups` [N] only rows of other groups count, for both. Rows
    without a ratio are left out; if all are, the ratios are a single 1.
    """
    groups = np.arange(len(rows)) if groups is None else groups
    asked = np.arange(len(rows)) if asked is None else asked
    options: dict[str, Any] = {"groups": groups, "variants": variants, "asked": asked}
    distances, neighbours = nearest_others(rows, k=1, **options)
    closest, reference = neighbours[:, 0], np.empty(len(asked))
    for own, block in squared_distances(rows[closest], rows, variants=variants):
        block[groups[asked[own], None] == groups] = np.inf
        leave_out(block, closest[own])
        reference[own] = np.sqrt(block.min(axis=1))
    known = np.isfinite(reference)
    ratios = distances[known, 0] / np.maximum(reference[known], TINY)
    return distances[:, 0], ratios if len(ratios) else np.ones(1)
