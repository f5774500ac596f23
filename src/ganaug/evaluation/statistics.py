"""Paired differences between two arms: mean, BCa interval and sign-flip test over seeds.

What varies from seed to seed is the classifier: which nine tenths of the images it gets, its first
weights, the order of the batches and the augmentation. The split and the generator stay.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.stats import bootstrap, norm, permutation_test
from scipy.stats import t as student_t

NUM_RESAMPLES = 9999
FEW = 4
ROUNDING = 1e-9  # percentage points; smaller differences are float rounding

Floats = NDArray[np.float64]


def paired_delta(
    treated: Sequence[float],
    control: Sequence[float],
    *,
    confidence: float,
    rng: np.random.Generator,
) -> dict[str, float | int]:
    """Mean of treated - control over paired seeds, in percentage points, with its interval.

    Args:
        treated: scores in 0..1, one a seed.
        control: the same seeds' scores of the other arm.
        confidence: level of the two-sided interval, 0..1.
        rng: draws the resamples.
    Returns:
        mean_pp; low_pp and high_pp, the widened BCa bootstrap interval; p_value, two-sided, of the
        sign-flip test, exact for up to 13 seeds (with 5 or fewer it can't fall below 0.05); n, the
        number of pairs.
    Raises:
        ValueError: fewer than two pairs, or sequences of different lengths.
    Source: Efron 1987 (BCa); Hesterberg 2015, arXiv:1411.5279 (the widening, see `_interval`).
    """
    if len(treated) != len(control) or len(treated) < 2:
        raise ValueError(f"need two or more pairs, got {len(treated)} and {len(control)} scores")
    deltas = 100 * (np.asarray(treated, float) - np.asarray(control, float))
    low, high = _interval(deltas, confidence, rng)
    return {
        "mean_pp": float(deltas.mean()),
        "low_pp": low,
        "high_pp": high,
        "p_value": _sign_flip_p(deltas, rng),
        "n": len(deltas),
    }


def holm(p_values: Sequence[float]) -> list[float]:
    """P-values 0..1 adjusted for having looked at all of them, in the order given (Holm 1979)."""
    p = np.asarray(p_values, float)
    order = np.argsort(p, kind="stable")
    adjusted = np.empty(len(p))
    adjusted[order] = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    return [min(1.0, float(value)) for value in adjusted]


def wilson_interval(share: float, num_trials: int, *, confidence: float) -> tuple[float, float]:
    """Interval of a share 0..1 of `num_trials`; stays within 0..1 at both ends (Wilson 1927)."""
    z = norm.ppf((1 + confidence) / 2)
    centre = share + z**2 / (2 * num_trials)
    half = z * np.sqrt(share * (1 - share) / num_trials + z**2 / (4 * num_trials**2))
    scale = 1 + z**2 / num_trials
    return max(0.0, float((centre - half) / scale)), min(1.0, float((centre + half) / scale))


def _interval(deltas: Floats, confidence: float, rng: np.random.Generator) -> tuple[float, float]:
    """BCa interval of the mean, widened for small n; a point where there is no spread.

    A bootstrap of n values takes their spread with divisor n and has normal tails. Asking it for
    the level at which normal tails reach as far as t's, times sqrt(n / (n - 1)), mends both: at
    n = 6 the 95 % interval held the truth in 92 % of 1,500 simulations, without it in 86 %. Below
    `FEW` values resamples say nothing, and Student's t interval stands in.
    """
    if np.ptp(deltas) < ROUNDING:
        return float(deltas.mean()), float(deltas.mean())
    n = len(deltas)
    quantile = student_t.ppf((1 + confidence) / 2, n - 1)
    reach = np.sqrt(n / (n - 1)) * quantile
    # Beyond the last resample, too, a bootstrap has nothing to say.
    if n < FEW or norm.sf(reach) * NUM_RESAMPLES < 1:
        half = quantile * deltas.std(ddof=1) / np.sqrt(n)
        return float(deltas.mean() - half), float(deltas.mean() + half)
    result = bootstrap(
        (deltas,),
        np.mean,
        confidence_level=1 - 2 * norm.sf(reach),
        n_resamples=NUM_RESAMPLES,
        method="BCa",
        rng=rng,
    )
    interval = result.confidence_interval
    return float(interval.low), float(interval.high)


def _sign_flip_p(deltas: Floats, rng: np.random.Generator) -> float:
    """Two-sided p of "the arms are exchangeable", from all 2^n flips while these are few."""
    if np.abs(deltas).max() < ROUNDING:
        return 1.0
    result = permutation_test(
        (deltas,),
        lambda x, axis: x.mean(axis=axis),
        permutation_type="samples",
        n_resamples=NUM_RESAMPLES,
        vectorized=True,
        rng=rng,
    )
    return float(result.pvalue)
