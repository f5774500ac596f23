"""Did the generator copy its training images? Measured against what real images show themselves.

The yardstick is the copy ratio: the distance of an image to its nearest training image, over the
distance of that one to its own nearest neighbour. Below 1 the image is nearer than real images are
to each other, far below 1 it is a copy. The real training images, each against those of other
groups (modules, patients), give the figures that images have which copy nothing. Where a space
knows flips, a training image counts in each of them.

Nothing tells a new image of a training group from a copy of a group mate that looks the same:
unseen elpv cells of the training modules have 57 % authentic ones, cells of other modules 89 to
96 %. A generator that only makes such images is refused.

Also shown: whether synthetic images lie nearer to train than held-out real images do.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binom, binomtest, rankdata

from ganaug.images import Groups, Indices
from ganaug.quality.neighbours import (
    TINY,
    FloatArray,
    Floats,
    Variants,
    as_they_stand,
    copy_ratios,
    nearest,
    nearest_others,
)

NEAR_COPY_RATIO = 0.5  # copy ratio of a near copy
MAX_NEAR_COPIES = 0.01  # share of synthetic images, over that of the real training images
# Of the authentic share, under that of the real training images. Modules of elpv that were held out
# of training copy nothing and fall short by up to 0.11: half of them would fail at 0.1.
MAX_SHORTFALL = 0.15
CONFIDENCE = 0.9  # level of the gate's intervals; no setting changes it
FEWEST_JUDGED = 16  # with fewer, a pool of a tenth of copies shows none at one time of five or more


def measure_memorisation(
    synthetic: FloatArray,
    train: FloatArray,
    holdout: FloatArray,
    *,
    groups: Groups | None = None,
    variants: Variants = as_they_stand,
    origins: Indices | None = None,
) -> dict[str, Any]:
    """All figures of the gate, and whether it is passed.

    Args:
        synthetic: [M, D] features, M >= 1.
        train: [N, D] of the real images that the generator saw, N >= 3.
        holdout: [H, D] of real images that it never saw, H >= 1.
        groups: [N] of the training images; each its own where None, or where all have the same.
        variants: features of the same images in each flip.
        origins: [M] the training image that a synthetic one is declared to start from, -1 none: it
            does not count as copied.
    Returns:
        near_copies: share with a copy ratio below `NEAR_COPY_RATIO`; authentic: share above 1
        (Alaa et al. 2022, arXiv:2102.08921); each with its _low and _high, and as _real for the
        real training images against those of other groups. nearest_ratio: median copy ratio.
        near_copies_with_origins: near_copies if declared origins counted too; it decides nothing.
        copying_z and copying_z_real: `copying_z` against the hold-out. passed: near_copies_high
        reaches near_copies_allowed at most, authentic_low authentic_demanded at least; see
        `allowed_high`. too_few: fewer than `FEWEST_JUDGED` images, which can't pass.
    """
    if groups is None or len(np.unique(groups)) < 2:
        groups = np.arange(len(train))
    distances, nearest_train = nearest(synthetic, train, variants=variants, but=origins)
    with_origins, nearest_with = distances, nearest_train
    if origins is not None and (origins >= 0).any():
        with_origins, nearest_with = nearest(synthetic, train, variants=variants)
    held_out, _ = nearest(holdout, train, variants=variants)
    own = np.maximum(nearest_others(train, k=1, variants=variants)[0][:, 0], TINY)
    ratios = distances / own[nearest_train]
    across, ratios_real = copy_ratios(train, groups=groups, variants=variants)
    n = len(synthetic)
    found = {
        **share_beside_real("near_copies", ratios < NEAR_COPY_RATIO, ratios_real < NEAR_COPY_RATIO),
        **share_beside_real("authentic", ratios > 1, ratios_real > 1),
    }
    copies, shortfall = found["near_copies_real"], 1 - found["authentic_real"]
    found["near_copies_allowed"] = allowed_high(copies, n, margin=MAX_NEAR_COPIES)
    found["authentic_demanded"] = 1 - allowed_high(shortfall, n, margin=MAX_SHORTFALL)
    copied_with_origins = with_origins / own[nearest_with] < NEAR_COPY_RATIO
    return {
        **found,
        "nearest_ratio": float(np.median(ratios)),
        "near_copies_with_origins": float(copied_with_origins.mean()),
        "copying_z": copying_z(with_origins, held_out),
        "copying_z_real": copying_z(across, held_out),
        "num_synthetic": n,
        "num_train": len(train),
        "num_holdout": len(holdout),
        "too_few": n < FEWEST_JUDGED,
        "passed": bool(
            n >= FEWEST_JUDGED
            and found["near_copies_high"] <= found["near_copies_allowed"]
            and found["authentic_low"] >= found["authentic_demanded"]
        ),
    }


def share_beside_real(
    name: str, images: NDArray[np.bool_], real: NDArray[np.bool_]
) -> dict[str, float]:
    """The share of images for which it holds, its _low and _high, and that of real ones, _real."""
    low, high = wilson(int(images.sum()), len(images))
    share, share_real = float(images.mean()), float(real.mean())
    return {name: share, f"{name}_low": low, f"{name}_high": high, f"{name}_real": share_real}


def wilson(hits: int, number: int) -> tuple[float, float]:
    """Wilson interval of a share, at the level `CONFIDENCE`."""
    low, high = binomtest(hits, number).proportion_ci(CONFIDENCE, method="wilson")
    return float(low), float(high)


def allowed_high(real: float, number: int, *, margin: float) -> float:
    """How high the upper bound of a bad share may lie in a pool of `number` images.

    Real images have the share `real`, and `margin` more is tolerated. A pool too small to show that
    may reach what as good a pool as the real images has at the unluckiest draw of its interval.
    """
    by_chance = int(binom.ppf((1 + CONFIDENCE) / 2, number, min(real, 1.0)))
    rounding = 1e-12
    return max(real + margin, wilson(by_chance, number)[1]) + rounding


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
