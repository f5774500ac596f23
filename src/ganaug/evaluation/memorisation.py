"""Did the generator copy its training images? Measured against what real images show themselves.

The yardstick is the copy ratio: the distance of an image to its nearest training image, over the
distance of that one to its own nearest neighbour. Below 1 the image is nearer than real images are
to each other, far below 1 it is a copy. The real training images, each against the others, give the
figures that images of the same groups (modules, patients) have without any copying.

Also shown: the share nearer to train than to an equal-size hold-out. Its usual mark, 0.5, would
accuse any faithful generator here, because the hold-out comes from other groups: unseen elpv cells
of the training modules get 0.86, and samples of a GAN without a single near copy 0.89.
"""

from typing import Any

import numpy as np
from scipy.stats import rankdata

from ganaug.evaluation.distances import (
    FloatArray,
    Floats,
    Labels,
    draw_of_classes,
    squared_distances,
)
from ganaug.evaluation.neighbours import TINY, copy_ratios, nearest, nearest_others
from ganaug.evaluation.statistics import wilson_interval
from ganaug.rng import numpy_rng

NUM_DRAWS = 8  # of equal-size subsets of train and hold-out; their shares are averaged
NEAR_COPY_RATIO = 0.5  # copy ratio of a near copy
MAX_NEAR_COPIES = 0.01  # share of synthetic images, over that of the real training images
MAX_SHORTFALL = 0.05  # of the authentic share, under that of the real training images


def measure_memorisation(
    synthetic: FloatArray,
    train: FloatArray,
    train_labels: Labels,
    holdout: FloatArray,
    holdout_labels: Labels,
    *,
    confidence: float,
    seed: int,
) -> dict[str, Any]:
    """All figures of the gate, and whether it is passed.

    Args:
        synthetic: [M, D] features, M >= 1.
        train: [N, D] of the real images that the generator saw, N >= 3.
        train_labels: [N].
        holdout: [H, D] of real images that it never saw, H >= 1.
        holdout_labels: [H]; the hold-out and train subsets hold the same number of each class.
        confidence: level of the Wilson intervals, 0..1.
        seed: of the subsets.
    Returns:
        near_copies: share with a copy ratio below `NEAR_COPY_RATIO`; authentic: share above 1
        (Alaa et al. 2022, arXiv:2102.08921); closer_to_train: share nearer to train than to an
        equal-size hold-out; each with its _low and _high, and as _real for the real training
        images. nearest_ratio: median copy ratio. copying_z and copying_z_real: `copying_z` against
        the hold-out. passed: near_copies_low <= near_copies_real + MAX_NEAR_COPIES and
        authentic_high >= authentic_real - MAX_SHORTFALL.
    """
    made, nearest_train = nearest(synthetic, train)
    other, _ = nearest(holdout, train)
    distances, neighbours = nearest_others(train, k=2)
    ratios = made / np.maximum(distances[nearest_train, 0], TINY)
    subsets = _equal_subsets(train_labels, holdout_labels, numpy_rng(seed, "memorisation"))

    def shares_of(ratios: Floats, rows: FloatArray) -> dict[str, Any]:
        return {
            "near_copies": (ratios < NEAR_COPY_RATIO).mean(),
            "authentic": (ratios > 1).mean(),
            "closer_to_train": _share_closer(rows, train, holdout, subsets),
        }

    shares_real = shares_of(copy_ratios(distances, neighbours), train)
    found: dict[str, Any] = {}
    for name, share in shares_of(ratios, synthetic).items():
        low, high = wilson_interval(share, len(synthetic), confidence=confidence)
        found |= {name: float(share), f"{name}_low": low, f"{name}_high": high}
        found[f"{name}_real"] = float(shares_real[name])
    return {
        **found,
        "nearest_ratio": float(np.median(ratios)),
        "copying_z": copying_z(made, other),
        "copying_z_real": copying_z(distances[:, 0], other),
        "num_synthetic": len(synthetic),
        "num_train": len(train),
        "num_holdout": len(holdout),
        "passed": bool(
            found["near_copies_low"] <= found["near_copies_real"] + MAX_NEAR_COPIES
            and found["authentic_high"] >= found["authentic_real"] - MAX_SHORTFALL
        ),
    }


def copying_z(synthetic_distances: Floats, holdout_distances: Floats) -> float:
    """C_T over the whole space: Z of the Mann-Whitney test on distances to train.

    Args:
        synthetic_distances: [M] of synthetic images to their nearest training image.
        holdout_distances: [H] of held-out real images.
    Returns:
        Standard normal when both are alike; far below 0: synthetic images lie nearer, copying or
        group style; far above 0: further away, underfitting.
    Source: Meehan et al. 2020, arXiv:2004.05675, with a single cell.
    """
    m, h = len(synthetic_distances), len(holdout_distances)
    ranks = rankdata(np.concatenate([synthetic_distances, holdout_distances]))
    u = ranks[:m].sum() - m * (m + 1) / 2
    return float((u - m * h / 2) / np.sqrt(m * h * (m + h + 1) / 12))


def _equal_subsets(
    train_labels: Labels, holdout_labels: Labels, rng: np.random.Generator
) -> list[tuple[Labels, Labels]]:
    """NUM_DRAWS pairs of row subsets with equal numbers of each class on both sides."""
    both = (train_labels, holdout_labels)
    numbers = {c: min((labels == c).sum() for labels in both) for c in np.unique(holdout_labels)}
    return [
        (draw_of_classes(train_labels, numbers, rng), draw_of_classes(holdout_labels, numbers, rng))
        for _ in range(NUM_DRAWS)
    ]


def _share_closer(
    queries: FloatArray,
    train: FloatArray,
    holdout: FloatArray,
    subsets: list[tuple[Labels, Labels]],
) -> float:
    """Mean share of queries nearer to the train subset than to the hold-out subset."""
    x, own, held = (rows.astype(np.float64) for rows in (queries, train, holdout))
    blocks = zip(squared_distances(x, own), squared_distances(x, held), strict=True)
    shares = []
    for (rows, near), (_, far) in blocks:
        if queries is train:  # a row is no neighbour of its own
            np.fill_diagonal(near[:, rows], np.inf)
        shares.append([(near[:, t].min(axis=1) < far[:, h].min(axis=1)).sum() for t, h in subsets])
    return float(np.sum(shares, axis=0).mean() / len(queries))
