"""Copying measures as loops over images."""

import numpy as np


def distance(x, y):
    return float(np.sqrt(((x - y) ** 2).sum()))


def nearest(query, pool):
    distances = [distance(query, x) for x in pool]
    return int(np.argmin(distances)), min(distances)


def others(rows, *left_out):
    return [x for i, x in enumerate(rows) if i not in left_out]


def authentic(synthetic, train):
    """Alaa et al. 2022: the nearest training image has a nearer neighbour than the sample."""
    result = []
    for sample in synthetic:
        index, d = nearest(sample, train)
        result.append(d > nearest(train[index], others(train, index))[1])
    return result


def copying_z(synthetic_distances, holdout_distances):
    """Meehan et al. 2020: Mann-Whitney U by counting pairs, standardised."""
    u = sum((s > h) + 0.5 * (s == h) for s in synthetic_distances for h in holdout_distances)
    m, h = len(synthetic_distances), len(holdout_distances)
    return (u - m * h / 2) / np.sqrt(m * h * (m + h + 1) / 12)


def near_copies(synthetic, train, ratio):
    hits = 0
    for sample in synthetic:
        index, d = nearest(sample, train)
        hits += d < ratio * nearest(train[index], others(train, index))[1]
    return hits / len(synthetic)


def near_copies_real(train, ratio):
    hits = 0
    for i, x in enumerate(train):
        distances = [distance(x, y) if j != i else np.inf for j, y in enumerate(train)]
        index = int(np.argmin(distances))
        hits += distances[index] < ratio * nearest(train[index], others(train, index, i))[1]
    return hits / len(train)
