"""Nearest neighbours in a feature space, exact, by scikit-learn in bounded memory."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.neighbors import NearestNeighbors

from ganaug.evaluation.distances import FloatArray, Floats, squared_distances

TINY = 1e-9  # keeps ratios finite where images have duplicates
# Of the nearest distances between groups of train, 1 % lie below `USUAL`. A third of it is left
# alone by all pairs of elpv (least: 0.74 of it) and digits (0.52). Noise of 2 grey levels stays
# below it for over 90 % of elpv's images and all digits, and so do changes of brightness by 5 %.
USUAL = 0.01  # quantile
NEAR = 1 / 3
MOST_ASKED = 2000  # training images that the threshold is read off

Rows = NDArray[np.int64]


def nearest(queries: FloatArray, pool: FloatArray) -> tuple[Floats, Rows]:
    """Distance [M] and index [M] of the row of `pool` [N, D], N >= 1, nearest to each query."""
    if len(queries) == 0:
        return np.empty(0), np.empty(0, np.int64)
    distances, indices = _search(pool, 1).kneighbors(queries.astype(np.float64))
    return distances[:, 0], indices[:, 0]


def nearest_others(rows: FloatArray, *, k: int) -> tuple[Floats, Rows]:
    """Distances and indices [N, k] of each row's k nearest other rows, nearest first; N > k."""
    distances, indices = _search(rows, k).kneighbors()
    return distances, indices


def copy_ratios(distances: Floats, neighbours: Rows) -> Floats:
    """[N] distance of each image to its nearest, over the distance of that one to its own nearest.

    The image is taken as if it were not in the set: where two are nearest to each other, the
    second one's next neighbour counts. Both arguments are of `nearest_others`, k 2 or more.
    """
    closest = neighbours[:, 0]
    is_mutual = neighbours[closest, 0] == np.arange(len(closest))
    reference = np.where(is_mutual, distances[closest, 1], distances[closest, 0])
    ratios: Floats = distances[:, 0] / np.maximum(reference, TINY)
    return ratios


def near_duplicate_distance(features: FloatArray, groups: "pd.Series[str]") -> float:
    """Below this distance two images of different groups are one picture; 0 with a single group."""
    codes = pd.factorize(groups)[0]
    asked = np.unique(np.linspace(0, len(codes) - 1, MOST_ASKED).astype(int))
    x = features.astype(np.float64)
    least = [
        np.where(codes[asked[rows], None] == codes, np.inf, block).min(axis=1)
        for rows, block in squared_distances(x[asked], x)
    ]
    squared = np.concatenate(least)
    between = np.sqrt(squared[np.isfinite(squared)])
    return float(NEAR * np.quantile(between, USUAL)) if len(between) else 0.0


def _search(rows: FloatArray, k: int) -> NearestNeighbors:
    # Brute force: in hundreds of dimensions trees are slower.
    return NearestNeighbors(n_neighbors=k, algorithm="brute").fit(rows.astype(np.float64))
