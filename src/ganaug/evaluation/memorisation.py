"""Did the generator copy its training images? Distances to them, judged against held-out reals.

The usual reading of "closer to train than to an equal-size hold-out" takes 0.5 as the mark of no
copying. Here the hold-out comes from other groups (modules, patients), so an image that is merely
faithful to the groups it was learned from lies nearer to train as well: unseen elpv cells from the
training modules get 0.86. So the same figure is taken for the real training images themselves,
each against the others, and only what goes beyond it counts.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from ganaug.evaluation.distances import FloatArray, Floats, Labels, squared_distances
from ganaug.evaluation.neighbours import Nearest, leave_one_out, nearest, others
from ganaug.evaluation.statistics import wilson_interval
from ganaug.rng import numpy_rng

NUM_DRAWS = 8  # of equal-size subsets of train and hold-out; their shares are averaged
NEAR_COPY_RATIO = 0.5  # of the distance from the copied image to its own nearest neighbour
DUPLICATE = 1e-6  # a distance below which two rows are the same
MAX_EXCESS = 0.05  # of the share closer to train, over that of the real training images
MAX_NEAR_COPIES = 0.01  # share of synthetic images, over that of the real training images


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
        confidence: level of the intervals, 0..1.
        seed: of the subsets.
    Returns:
        closer_to_train: share of synthetic images nearer to train than to an equal-size hold-out,
        with its Wilson interval; closer_to_train_real: the same for the real training images, each
        against the others; excess_low: lower bound of their difference. near_copies: share whose
        nearest training image is at less than half of that image's distance to its own nearest
        neighbour, with near_copies_low and near_copies_real likewise. copying_z and
        copying_z_real: `copying_z` against the hold-out. authentic: share by `authentic`.
        nearest_ratio: median distance to train over that of the real training images (None where
        most of these have a duplicate). passed:
        excess_low <= MAX_EXCESS and near_copies_low <= near_copies_real + MAX_NEAR_COPIES.
    """
    made, real, other = nearest(synthetic, train), leave_one_out(train), nearest(holdout, train)
    subsets = _equal_subsets(train_labels, holdout_labels, numpy_rng(seed, "memorisation"))
    share = _share_closer(synthetic, train, holdout, subsets, same=False)
    real_share = _share_closer(train, train, holdout, subsets, same=True)
    low, high = wilson_interval(share, len(synthetic), confidence=confidence)
    _, real_high = wilson_interval(real_share, len(train), confidence=confidence)
    # Newcombe 1998, method 10: the difference of two shares, from their Wilson intervals.
    excess_low = share - real_share - float(np.hypot(share - low, real_high - real_share))
    copies = float((made.distances < NEAR_COPY_RATIO * real.distances[made.indices]).mean())
    copies_low, _ = wilson_interval(copies, len(synthetic), confidence=confidence)
    copies_real = _near_copies_among(train, real)
    return {
        "closer_to_train": share,
        "closer_to_train_low": low,
        "closer_to_train_high": high,
        "closer_to_train_real": real_share,
        "excess_low": excess_low,
        "near_copies": copies,
        "near_copies_low": copies_low,
        "near_copies_real": copies_real,
        "copying_z": copying_z(made.distances, other.distances),
        "copying_z_real": copying_z(real.distances, other.distances),
        "authentic": float(authentic(made, real).mean()),
        "nearest_ratio": _ratio(np.median(made.distances), np.median(real.distances)),
        "num_synthetic": len(synthetic),
        "num_train": len(train),
        "num_holdout": len(holdout),
        "passed": excess_low <= MAX_EXCESS and copies_low <= copies_real + MAX_NEAR_COPIES,
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


def authentic(made: Nearest, real: Nearest) -> NDArray[np.bool_]:
    """Per synthetic image: whether its nearest training image has a nearer neighbour than it.

    Args:
        made: `nearest(synthetic, train)`.
        real: `leave_one_out(train)`.
    Source: Alaa et al. 2022, arXiv:2102.08921, section 4.
    """
    return made.distances > real.distances[made.indices]


def _ratio(value: np.floating[Any], reference: np.floating[Any]) -> float | None:
    return float(value / reference) if reference > DUPLICATE else None


def _near_copies_among(train: FloatArray, real: Nearest) -> float:
    """Share of training images that would count as near copies of another one.

    The copied image's own neighbour must be a third image, so its two nearest others are needed.
    """
    two = np.concatenate([np.partition(b, 1, axis=1)[:, :2] for _, b in others(train)])
    first, second = np.sqrt(two.T)
    mutual = real.indices[real.indices] == np.arange(len(train))
    reference = np.where(mutual, second[real.indices], first[real.indices])
    return float((real.distances < NEAR_COPY_RATIO * reference).mean())


def _equal_subsets(
    train_labels: Labels, holdout_labels: Labels, rng: np.random.Generator
) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """NUM_DRAWS pairs of row subsets with equal numbers of each class on both sides."""

    def draw(labels: Labels, counts: dict[int, int]) -> NDArray[np.int64]:
        parts = [rng.permutation(np.flatnonzero(labels == c))[:n] for c, n in counts.items()]
        return np.concatenate(parts)

    counts = {
        int(c): min(int((train_labels == c).sum()), int((holdout_labels == c).sum()))
        for c in np.unique(holdout_labels)
    }
    return [(draw(train_labels, counts), draw(holdout_labels, counts)) for _ in range(NUM_DRAWS)]


def _share_closer(
    queries: FloatArray,
    train: FloatArray,
    holdout: FloatArray,
    subsets: list[tuple[NDArray[np.int64], NDArray[np.int64]]],
    *,
    same: bool,
) -> float:
    """Mean share of queries nearer to the train subset than to the hold-out subset."""
    x, held = queries.astype(np.float64), holdout.astype(np.float64)
    to_train = others(train) if same else squared_distances(x, train.astype(np.float64))
    shares = [
        [(near[:, t].min(axis=1) < far[:, h].min(axis=1)).sum() for t, h in subsets]
        for (_, near), (_, far) in zip(to_train, squared_distances(x, held), strict=True)
    ]
    return float(np.sum(shares, axis=0).mean() / len(queries))
