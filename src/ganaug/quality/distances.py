"""How far a set of synthetic images is from a set of real ones, in a feature space.

KID and PRDC decide; FID is mostly bias at a few hundred images (81 % of the total variance for two
samples of 100 from the same Gaussian in 1,280 dimensions) and is shown only beside the same figure
between two real sets. Everything works in row blocks, so memory grows with the number of images and
not with its square.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from ganaug.images import Labels
from ganaug.quality.neighbours import BLOCK_ROWS, FloatArray, Floats, squared_distances
from ganaug.rng import numpy_rng

METRICS = ("kid", "kid_std", "precision", "recall", "density", "coverage", "fid")
NEIGHBOURS = 5  # that span a ball of PRDC
KID_HALVES = 10  # random halves over which `kid_std` is taken
FEWEST_IMAGES = 8  # a side; fewer of a class are not measured
MAX_FID_IMAGES = 1000  # a side; its cost grows with their cube


def kid(real: FloatArray, synthetic: FloatArray) -> float:
    """Unbiased squared MMD with the kernel (x.y / D + 1)^3, over all rows of both sets.

    Args:
        real: [N, D] features, N >= 2.
        synthetic: [M, D] features, M >= 2.
    Returns:
        0 on average for two samples of one distribution, so it may be negative; lower is better.
        Not multiplied by 1000.
    Raises:
        ValueError: a set has fewer than two rows.
    Source: Binkowski et al. 2018, arXiv:1801.01401, equation 4.
    """
    if min(len(real), len(synthetic)) < 2:
        raise ValueError(f"KID needs 2 images a side, got {len(real)} and {len(synthetic)}")
    x, y = real.astype(np.float64), synthetic.astype(np.float64)
    between = _kernel_sum(x, y) / (len(x) * len(y))
    return _mean_off_diagonal(x) + _mean_off_diagonal(y) - 2 * between


def prdc(
    real: FloatArray, synthetic: FloatArray, *, k: int = NEIGHBOURS, rng: np.random.Generator
) -> dict[str, float]:
    """Precision, recall, density and coverage with k-nearest-neighbour balls.

    Args:
        real: [N, D] features.
        synthetic: [M, D] features; the larger set is subsampled to the smaller one's size.
        k: neighbours that span a ball, 1 <= k < min(N, M).
        rng: draws the subsample.
    Returns:
        Precision, recall and coverage in 0..1; density >= 0, about 1 for equal distributions.
    Raises:
        ValueError: a set has k rows or fewer.
    Source: Kynkaanniemi et al. 2019, arXiv:1904.06991 (precision, recall); Naeem et al. 2020,
        arXiv:2002.09797 (density, coverage).
    """
    n = min(len(real), len(synthetic))
    if n <= k:
        raise ValueError(f"PRDC with k={k} needs more than {k} images a side, got {n}")
    x = _subset(real, n, rng).astype(np.float64)
    y = _subset(synthetic, n, rng).astype(np.float64)
    x_radius, y_radius = _squared_radii(x, k), _squared_radii(y, k)
    balls_around = np.zeros(n, int)  # real balls that hold each synthetic row
    recalled, covered = [], []
    for rows, distances in squared_distances(x, y):
        inside = distances < x_radius[rows, None]
        balls_around += inside.sum(axis=0)
        covered.append(inside.any(axis=1))
        recalled.append((distances < y_radius[None]).any(axis=1))
    return {
        "precision": float((balls_around > 0).mean()),
        "recall": float(np.concatenate(recalled).mean()),
        "density": float(balls_around.mean() / k),
        "coverage": float(np.concatenate(covered).mean()),
    }


def fid(real: FloatArray, synthetic: FloatArray) -> float:
    """Frechet distance of the two sets' Gaussian fits; show it only beside its real-real value.

    tr((C1 C2)^1/2) is the sum of the singular values of X1 X2^T, X being the centred rows over
    sqrt(N - 1): exact, and no D x D root is needed.

    Args:
        real: [N, D] features, N >= 2.
        synthetic: [M, D] features, M >= 2.
    Returns:
        >= 0 up to rounding, lower is better; biased upwards, the more so the fewer images.
    Source: Heusel et al. 2017, arXiv:1706.08500, equation 6.
    """
    x, y = real.astype(np.float64), synthetic.astype(np.float64)
    centred_x = (x - x.mean(axis=0)) / np.sqrt(len(x) - 1)
    centred_y = (y - y.mean(axis=0)) / np.sqrt(len(y) - 1)
    shared = np.linalg.svd(centred_x @ centred_y.T, compute_uv=False).sum()
    shift = ((x.mean(axis=0) - y.mean(axis=0)) ** 2).sum()
    return float(shift + (centred_x**2).sum() + (centred_y**2).sum() - 2 * shared)


def per_class(
    real: FloatArray,
    real_labels: Labels,
    synthetic: FloatArray,
    synthetic_labels: Labels,
    *,
    class_names: Sequence[str],
    seed: int,
    max_prdc_images: Sequence[int] | None = None,
) -> dict[str, Any]:
    """KID and PRDC of every class, and their means over the classes that could be measured.

    Args:
        real: [N, D] features.
        real_labels: [N] indices into `class_names`.
        synthetic: [M, D] features.
        synthetic_labels: [M].
        class_names: K names.
        seed: of the subsamples; equal seeds and sizes pick the same real rows.
        max_prdc_images: K upper bounds on the images a side for PRDC and FID, so that two
            measurements can be made at equal n. KID is unbiased and takes all rows.
    Returns:
        {"classes": {name: {"num_real", "num_synthetic", "num_prdc", "too_few", **METRICS}},
        "class_mean": {**METRICS, "num_classes"}, "not_measured": [name]}. A class with fewer than
        `FEWEST_IMAGES` on a side is not measured: too_few is true, its metrics are None. PRDC takes
        fewer than `NEIGHBOURS` in a class with few images. kid_std is the spread over random halves
        of the images that PRDC uses.
    """
    most = [len(real)] * len(class_names) if max_prdc_images is None else max_prdc_images
    classes = {}
    for label, name in enumerate(class_names):
        x, y = real[real_labels == label], synthetic[synthetic_labels == label]
        rng = numpy_rng(seed, "distances", label)
        classes[name] = measure(x, y, max_prdc_images=most[label], rng=rng)
    measured = [values for values in classes.values() if not values["too_few"]]
    mean = {m: float(np.mean([v[m] for v in measured])) if measured else None for m in METRICS}
    return {
        "classes": classes,
        "class_mean": {**mean, "num_classes": len(measured)},
        "not_measured": [name for name, values in classes.items() if values["too_few"]],
    }


def measure(
    real: FloatArray, synthetic: FloatArray, *, max_prdc_images: int, rng: np.random.Generator
) -> dict[str, Any]:
    """The metrics of two sets, [N, D] and [M, D], and the numbers of images, as of a class above.

    At most `max_prdc_images` a side are taken for PRDC and FID; `rng` draws them.
    """
    num_prdc = min(len(real), len(synthetic), max_prdc_images)
    counts = {
        "num_real": len(real),
        "num_synthetic": len(synthetic),
        "num_prdc": num_prdc,
        "too_few": num_prdc < FEWEST_IMAGES,
    }
    if counts["too_few"]:
        return {**counts, **dict.fromkeys(METRICS)}
    x, y = _subset(real, num_prdc, rng), _subset(synthetic, num_prdc, rng)
    half = num_prdc // 2
    halves = [kid(_subset(x, half, rng), _subset(y, half, rng)) for _ in range(KID_HALVES)]
    return {
        **counts,
        "kid": kid(real, synthetic),
        "kid_std": float(np.std(halves)),
        **prdc(x, y, k=min(NEIGHBOURS, half - 1), rng=rng),
        "fid": fid(x[:MAX_FID_IMAGES], y[:MAX_FID_IMAGES]),
    }


def _subset(features: FloatArray, size: int, rng: np.random.Generator) -> FloatArray:
    """`size` rows without repetition, in random order; all rows as they stand when that many."""
    if size == len(features):
        return features
    return features[rng.permutation(len(features))[:size]]


def _kernel_sum(x: Floats, y: Floats) -> float:
    """Sum of (x.y / D + 1)^3 over all pairs."""
    blocks = (x[i : i + BLOCK_ROWS] for i in range(0, len(x), BLOCK_ROWS))
    return float(sum(((block @ y.T / x.shape[1] + 1) ** 3).sum() for block in blocks))


def _mean_off_diagonal(x: Floats) -> float:
    """Mean kernel value over ordered pairs of different rows."""
    diagonal = (((x * x).sum(axis=1) / x.shape[1] + 1) ** 3).sum()
    return float((_kernel_sum(x, x) - diagonal) / (len(x) * (len(x) - 1)))


def _squared_radii(x: Floats, k: int) -> Floats:
    # The row itself comes first, at distance 0, so index k is the k-th other row.
    blocks = (np.partition(block, k, axis=1)[:, k] for _, block in squared_distances(x, x))
    return np.concatenate(list(blocks))
