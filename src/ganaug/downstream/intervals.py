"""Whether one recipe beats another: the difference, its interval, and the answer that follows.

The interval covers two things that would come out differently another time: the repetition of the
classifier (its images, first weights and batches) and the test groups (modules, patients) that the
split happened to hold out. The split itself and the training of the GAN stay as they are.
"""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm
from scipy.stats import t as student_t

NUM_RESAMPLES = 4000
BLOCK_NUMBERS = 2_000_000  # held at a time, of each of a handful of arrays
ROUNDING = 1e-9  # percentage points; smaller differences are float rounding
SHIP, REAL_ONLY, UNDECIDED = "ship", "ship_real_only", "undecided"

Integers = NDArray[np.integer[Any]]
Floats = NDArray[np.float64]


def joint_delta(
    treated: Integers,
    control: Integers,
    labels: Integers,
    groups: NDArray[Any],
    *,
    num_classes: int,
    confidence: float,
    rng: np.random.Generator,
    num_resamples: int = NUM_RESAMPLES,
) -> dict[str, Any]:
    """Mean of macro-F1(treated) - macro-F1(control), with an interval over repetitions and groups.

    Repetitions and groups are drawn with replacement, together. What such resamples get wrong for
    a handful of either is mended: their spread is stretched to the unbiased one, and their tails to
    Student's t with Satterthwaite's degrees of freedom (docs/verdict.md has the coverage).

    Args:
        treated: [R, N] predicted class indices of R repetitions on the same N test images.
        control: [R, N], of the other recipe; row r is paired with row r of `treated`.
        labels: [N] true class indices.
        groups: [N] group ids; where images have no groups, an id of its own for each. If all are
            one group, images are drawn in its stead: nothing is known then of other groups.
        num_classes: K.
        confidence: level of the two-sided intervals, 0..1.
        rng: draws the resamples.
        num_resamples: how many.
    Returns:
        In percentage points mean_pp, low_pp, high_pp; spread_groups_pp and spread_repetitions_pp,
        the standard errors that more groups and that only more repetitions would bring down (their
        squares add up to that of the mean); num_repetitions, num_groups; confidence; "recall":
        {class index: {mean_pp, low_pp, high_pp}}, the change of each class's recall. All three are
        None for a class without test images, the bounds for a class in a single group; the spread
        of such a class is unknown, so macro-F1 has too small a spread then. The order of images and
        the names of groups do not matter.
    Raises:
        ValueError: fewer than two repetitions, shapes that don't match, or an unknown class.
    Source: Owen 2007, arXiv:0712.1111 (both factors resampled); the correction for counting their
        interaction three times is the two-way analysis of variance.
    """
    _check(treated, control, labels, groups, num_classes)
    tables, totals = _count(treated, control, labels, groups, num_classes)
    whole = np.ones((1, len(totals)))
    observed, recall_observed = _differences(whole, tables, totals)
    macro_f1, drawn, pick = _resample(tables, totals, observed, rng, num_resamples)
    found = _bounds(observed[0].mean(axis=1), macro_f1, pick, len(totals), confidence)
    recall_changes = {}
    for label in range(num_classes):
        seen, num_groups = ~np.isnan(drawn[:, 0, label]), int((totals[:, label] > 0).sum())
        own = recall_observed[0, :, label], drawn[seen, :, label], pick[seen]
        recall_changes[label] = _recall_change(*own, num_groups, confidence)
    return {
        **found,
        "num_repetitions": len(treated),
        "num_groups": len(np.unique(groups)),
        "confidence": confidence,
        "recall": recall_changes,
    }


def answer(found: Mapping[str, Any], *, margin_pp: float) -> str:
    """What a difference of `joint_delta` says about synthetic images.

    `SHIP`: on these images they help, and a harm of `margin_pp` is ruled out. `REAL_ONLY`: not
    that, and a gain of the same size is ruled out. `UNDECIDED`: too few test images or groups to
    tell. docs/verdict.md says how often it errs.
    """
    if found["mean_pp"] > 0 and found["low_pp"] > -margin_pp:
        return SHIP
    return REAL_ONLY if found["high_pp"] < margin_pp else UNDECIDED


def groups_needed(found: Mapping[str, Any], *, half_width_pp: float) -> int | None:
    """About how many test groups would bring the interval's half-width to `half_width_pp`.

    Args:
        found: of `joint_delta`.
        half_width_pp: percentage points, > 0; repeated trainings stay as many as now.
    Returns:
        At least 2; None where no number of groups would do, the repetitions alone being too few, or
        where it can't be told from a single group.
    """
    if found["num_groups"] < 2:
        return None
    groups, repetitions = found["spread_groups_pp"] ** 2, found["spread_repetitions_pp"] ** 2
    if groups + repetitions < ROUNDING**2:
        return 2
    half = (found["high_pp"] - found["low_pp"]) / 2
    allowed = (half_width_pp / half) ** 2 * (groups + repetitions) - repetitions
    return max(2, math.ceil(found["num_groups"] * groups / allowed)) if allowed > 0 else None


def _check(
    treated: Integers, control: Integers, labels: Integers, groups: NDArray[Any], num_classes: int
) -> None:
    shapes = [np.shape(values) for values in (treated, control, labels, groups)]
    num_images = len(labels)
    if not num_images or shapes != [(len(treated), num_images)] * 2 + [(num_images,)] * 2:
        raise ValueError(f"need [R, N], [R, N], [N] and [N] of N >= 1 images, got {shapes}")
    if len(treated) < 2:
        raise ValueError("one repetition says nothing of their spread; need two or more")
    for values in (treated, control, labels):
        if values.min() < 0 or values.max() >= num_classes:
            raise ValueError(f"a class of {np.unique(values)} is not in 0..{num_classes - 1}")


def _count(
    treated: Integers, control: Integers, labels: Integers, groups: NDArray[Any], num_classes: int
) -> tuple[Floats, Floats]:
    """Hits and predictions [G, 2 (hits, predictions), 2 (arms), R, K], and images [G, K]."""
    group = np.unique(groups, return_inverse=True)[1]
    if group.max() == 0:
        group = np.arange(len(labels))
    num_groups, num_repetitions = int(group.max()) + 1, len(treated)
    shape = (num_groups, 2, num_repetitions, num_classes)
    both = np.stack([treated, control]).astype(np.int64)  # [2, R, N]
    arm, row = np.ogrid[:2, :num_repetitions]
    cell = np.ravel_multi_index((group, arm[..., None], row[..., None], both), shape)  # [2, R, N]
    size = math.prod(shape)
    hits = np.bincount(cell[both == labels], minlength=size).reshape(shape)
    predictions = np.bincount(cell.ravel(), minlength=size).reshape(shape)
    totals = np.bincount(group * num_classes + labels, minlength=num_groups * num_classes)
    totals = totals.reshape(num_groups, num_classes)
    tables = np.stack([hits, predictions], axis=1)
    # In an order that follows from what they hold, so that names and order don't matter.
    rows = np.hstack([totals, tables.reshape(num_groups, -1)]).astype(">u4")
    order = np.argsort(np.ascontiguousarray(rows).view(f"V{4 * rows.shape[1]}").ravel())
    return tables[order].astype(np.float64), totals[order].astype(np.float64)


def _resample(
    tables: Floats, totals: Floats, observed: Floats, rng: np.random.Generator, num_resamples: int
) -> tuple[Floats, Floats, Floats]:
    """Differences on resampled groups: of macro-F1 [B, R], of recalls [B, R, K]; and [B, R] shares
    in which repetitions are drawn beside them. Of `_count` and, `observed`, `_differences`.
    """
    f1_terms, recalls, picks = [], [], []
    _, num_repetitions, num_classes = observed.shape
    block = max(1, BLOCK_NUMBERS // (len(totals) + 8 * num_repetitions * num_classes))
    for start in range(0, num_resamples, block):
        num = min(block, num_resamples - start)
        weights = _draw(num, len(totals), rng)
        f1, recall = _differences(weights, tables, totals)
        # A class that a resample lacks keeps the difference that it has on all test images.
        f1_terms.append(np.where(np.isnan(recall), observed, f1).mean(axis=2))
        recalls.append(recall)
        picks.append(_draw(num, num_repetitions, rng))
    shares = np.concatenate(picks) / num_repetitions
    return np.concatenate(f1_terms), np.concatenate(recalls), shares


def _draw(num: int, size: int, rng: np.random.Generator) -> Floats:
    """How often each of `size` is drawn in `size` draws with replacement, [num, size]."""
    drawn = rng.integers(size, size=(num, size)) + size * np.arange(num)[:, None]
    return np.bincount(drawn.ravel(), minlength=num * size).reshape(num, size).astype(np.float64)


def _differences(weights: Floats, tables: Floats, totals: Floats) -> tuple[Floats, Floats]:
    """Treated - control of each class's F1 and recall, [B, R, K] points, groups weighted [B, G].

    NaN is the recall of a class without images.
    """
    sums = (weights @ tables.reshape(len(tables), -1)).reshape(len(weights), *tables.shape[1:])
    images = (weights @ totals)[:, None]  # [B, 1, K]
    hits, predictions = sums[:, 0], sums[:, 1]  # [B, 2, R, K]
    f1 = 2 * hits / np.maximum(predictions + images[:, None], 1)
    recall = np.where(images > 0, (hits[:, 0] - hits[:, 1]) / np.maximum(images, 1), np.nan)
    return 100 * (f1[:, 0] - f1[:, 1]), 100 * recall


def _recall_change(
    observed: Floats, drawn: Floats, pick: Floats, num_groups: int, confidence: float
) -> dict[str, float | None]:
    """One class's change of recall; None where it can't be known."""
    if num_groups < 2:
        mean = float(observed.mean()) if num_groups else None
        return {"mean_pp": mean, "low_pp": None, "high_pp": None}
    found = _bounds(observed, drawn, pick, num_groups, confidence)
    return {key: found[key] for key in ("mean_pp", "low_pp", "high_pp")}


def _bounds(
    observed: Floats, drawn: Floats, pick: Floats, num_groups: int, confidence: float
) -> dict[str, float]:
    """Interval of the mean of `observed` [R].

    Args:
        observed: [R] differences on all groups.
        drawn: [B, R] differences on resampled groups.
        pick: [B, R] shares in which repetitions were drawn beside them.
        num_groups: from which groups were drawn.
        confidence: of the interval.
    """
    mean, num, others = float(observed.mean()), len(observed), max(num_groups - 1, 1)
    # Variances of the mean: of all that shrinks with more groups, with more repetitions, and of the
    # interaction, which is a part of both.
    by_group = drawn.mean(axis=1).var() * num_groups / others
    by_repetition = observed.var(ddof=1) / num
    shared = max(0.0, (drawn.var(axis=1).mean() - observed.var()) / (num - 1) * num_groups / others)
    variance = max(by_group, by_repetition, by_group + by_repetition - shared)
    joint = (drawn * pick).sum(axis=1)
    spread = joint.std()
    low = high = mean
    if spread > ROUNDING and variance > ROUNDING**2:
        parts = by_group**2 / others + by_repetition**2 / (num - 1)
        freedom = max(1.0, variance**2 / (parts + shared**2 / (others * (num - 1))))
        tail = (1 - confidence) / 2
        stretch = np.sqrt(variance) / spread * student_t.isf(tail, freedom) / norm.isf(tail)
        reach = stretch * (np.quantile(joint, [tail, 1 - tail]) - joint.mean())
        low = float(np.clip(mean + min(reach[0], 0), -100, 100))
        high = float(np.clip(mean + max(reach[1], 0), -100, 100))
    return {
        "mean_pp": mean,
        "low_pp": low,
        "high_pp": high,
        "spread_groups_pp": float(np.sqrt(by_group)),
        "spread_repetitions_pp": float(np.sqrt(variance - by_group)),
    }
