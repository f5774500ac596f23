"""Whether the verdict's interval holds the truth, and what its rule answers, on simulated scores.

A simulated classifier's score of a class is the sum of what the class, the group, the image and the
repetition add, each of them with a part of its own in either recipe; the highest score is the
prediction. Sizes are those of solar cells: 61 images a group on average, four classes in their
proportions. The truth is over the population of groups and repetitions. About ten minutes.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ganaug.config import load_params
from ganaug.downstream.intervals import answer, groups_needed, joint_delta
from ganaug.rng import numpy_rng

PARAMS = Path(__file__).parents[1] / "params.yaml"
SHARES = np.array([142, 110, 296, 124]) / 672  # of the classes
GROUP_SIZES = (55, 68)
SEPARATION = 2.2  # what being of a class adds to its score: macro-F1 of 0.77
GROUP, IMAGE, REPETITION = 0.5, 1.0, 0.15  # sd of what both recipes share
OWN_GROUP, OWN_IMAGE, OWN_REPETITION, NOISE = 0.06, 0.1, 0.055, 0.15  # sd of each recipe's own
WIDE = 1.4  # times as much of each recipe's own, for the second table
MIXING = 6.0  # of the classes over groups; lower is more uneven

RUNS = 2000
RESAMPLES = 1000
COVERED = ((6, 11), (6, 40), (10, 11))  # repetitions, groups
SIZES = ((6, 11, 1000), (10, 11, 300), (20, 11, 300), (6, 22, 300), (6, 44, 300))  # and runs
UPLIFTS = (-2.0, -1.0, -0.5, 0.0, 0.5, 1.0, 2.0, 3.0)  # percentage points
ANSWERS = ("ship", "undecided", "ship_real_only")

Integers = NDArray[np.int64]
JUDGE = partial(joint_delta, num_classes=len(SHARES), num_resamples=RESAMPLES)
Rule = Callable[[Mapping[str, Any]], str]


def main() -> None:
    """Print coverage, then the answers for each true uplift."""
    params = load_params(PARAMS).evaluate
    rule, confidence = partial(answer, margin_pp=params.harm_margin_pp), params.confidence
    shifts = _shifts(UPLIFTS)
    for repetitions, groups in COVERED:
        _print_coverage(repetitions, groups)
    for size in SIZES:
        _print_answers(*size, shifts, rule, confidence)
    print(f"each recipe's own effects {WIDE} times as large:")
    _print_coverage(6, 11, WIDE)
    _print_answers(6, 11, 300, _shifts(UPLIFTS, WIDE), rule, confidence, WIDE)
    print("for comparison, the 95 % interval with margins of half a point:")
    _print_answers(6, 11, 300, shifts, _first_rule, 0.95)


def _print_coverage(repetitions: int, groups: int, own: float = 1.0) -> None:
    judged, spreads = [], []
    for run in range(RUNS):
        rng = numpy_rng(0, "coverage", repetitions, groups, run)
        (treated,), control, labels, group = _simulate(rng, repetitions, groups, [0.0], own)
        judged.append(JUDGE(treated, control, labels, group, confidence=0.95, rng=rng))
        pairs = zip(treated, control, strict=True)
        deltas = [_macro_f1(labels, new) - _macro_f1(labels, old) for new, old in pairs]
        spreads.append(100 * np.std(deltas, ddof=1))
    # The recipes differ in nothing, so the truth is 0.
    held = _share_with_truth(judged)
    recalls = _share_with_truth([delta["recall"][k] for delta in judged for k in delta["recall"]])
    half = np.mean([delta["high_pp"] - delta["low_pp"] for delta in judged]) / 2
    print(
        f"coverage: {repetitions} repetitions x {groups} groups, {RUNS} runs: 95 % interval holds "
        f"the truth in {held:.1%}, of recall in {recalls:.1%}; half-width {half:.1f} pp; "
        f"standard error {np.std([delta['mean_pp'] for delta in judged]):.2f} pp, estimated as "
        f"groups {_rms(judged, 'spread_groups_pp'):.2f}, "
        f"repetitions {_rms(judged, 'spread_repetitions_pp'):.2f}; single repetitions differ by "
        f"{np.mean(spreads):.1f} pp",
        flush=True,
    )


def _share_with_truth(deltas: Sequence[Mapping[str, Any]]) -> float:
    """Part of the intervals that hold 0."""
    return float(np.mean([delta["low_pp"] <= 0 <= delta["high_pp"] for delta in deltas]))


def _print_answers(
    repetitions: int,
    groups: int,
    runs: int,
    shifts: Sequence[float],
    rule: Rule,
    confidence: float,
    own: float = 1.0,
) -> None:
    counts: list[Counter[str]] = [Counter() for _ in UPLIFTS]
    needed = []
    for run in range(runs):
        rng = numpy_rng(0, "power", repetitions, groups, run)
        treateds, control, labels, group = _simulate(rng, repetitions, groups, shifts, own)
        for count, treated in zip(counts, treateds, strict=True):
            delta = JUDGE(treated, control, labels, group, confidence=confidence, rng=rng)
            count[rule(delta)] += 1
        needed.append(groups_needed(delta, half_width_pp=1.5) or np.inf)
    print(
        f"answers: {repetitions} repetitions x {groups} groups, {runs} runs each; "
        f"half of the runs ask for {np.median(needed):.0f} groups or fewer to reach +-1.5 pp"
    )
    print("| true uplift, pp |" + "".join(f" {word} |" for word in ANSWERS))
    print("|---|" + "---|" * len(ANSWERS))
    for uplift, count in zip(UPLIFTS, counts, strict=True):
        shares = "".join(f" {count[word] / runs:.0%} |" for word in ANSWERS)
        print(f"| {uplift:+g} |{shares}", flush=True)


def _first_rule(delta: Mapping[str, Any]) -> str:
    if delta["low_pp"] > -0.5:
        return "ship"
    return "ship_real_only" if delta["high_pp"] < 0.5 else "undecided"


def _rms(deltas: Sequence[Mapping[str, Any]], key: str) -> float:
    return float(np.sqrt(np.mean([delta[key] ** 2 for delta in deltas])))


def _simulate(
    rng: np.random.Generator,
    repetitions: int,
    num_groups: int,
    shifts: Sequence[float],
    own: float,
) -> tuple[list[Integers], Integers, Integers, Integers]:
    """Predictions [R, N] of treated at each shift and of control, labels [N] and groups [N]."""
    group = np.repeat(np.arange(num_groups), rng.integers(*GROUP_SIZES, num_groups))
    num, classes = len(group), len(SHARES)
    mix = rng.dirichlet(MIXING * SHARES, num_groups).cumsum(axis=1)[:, :-1]
    labels = (rng.random(num)[:, None] > mix[group]).sum(axis=1)
    rows = np.arange(num)
    base = rng.normal(0, GROUP, (num_groups, classes))[group]
    base = base + rng.normal(0, IMAGE, (num, classes))  # [N, K]
    base[rows, labels] += SEPARATION
    shared = base + rng.normal(0, REPETITION, (repetitions, 1, classes))  # [R, N, K]

    def own_scores() -> NDArray[np.float64]:
        scores = shared + rng.normal(0, own * OWN_GROUP, (num_groups, classes))[group]
        scores += rng.normal(0, own * OWN_IMAGE, (num, classes))
        scores += rng.normal(0, own * OWN_REPETITION, (repetitions, 1, classes))
        scores += rng.normal(0, own * NOISE, scores.shape)
        scores[:, rows, labels] += rng.normal(0, own * OWN_GROUP, num_groups)[group]
        scores[:, rows, labels] += rng.normal(0, own * OWN_REPETITION, (repetitions, 1))
        return scores

    control, scores, treated, before = own_scores().argmax(axis=2), own_scores(), [], 0.0
    for shift in shifts:
        scores[:, rows, labels] += shift - before
        treated.append(scores.argmax(axis=2))
        before = shift
    return treated, control, labels, group


def _shifts(uplifts: Sequence[float], own: float = 1.0) -> list[float]:
    """The shifts of the true class's score that make these true differences of macro-F1."""
    grid = np.linspace(-0.4, 0.5, 10)
    gains = []
    for batch in range(40):
        rng = numpy_rng(0, "truth", batch)
        treated, _, labels, _ = _simulate(rng, 4, 200, [0.0, *grid], own)
        macro = [np.mean([_macro_f1(labels, row) for row in rows]) for rows in treated]
        # Without a shift the recipes differ in nothing, so the gain over that is the difference.
        gains.append(100 * (np.array(macro[1:]) - macro[0]))
    return [float(np.interp(uplift, np.mean(gains, axis=0), grid)) for uplift in uplifts]


def _macro_f1(labels: Integers, predicted: Integers) -> float:
    num = len(SHARES)
    table = np.bincount(labels * num + predicted, minlength=num**2).reshape(num, num)
    return float((2 * table.diagonal() / (table.sum(0) + table.sum(1))).mean())


if __name__ == "__main__":
    main()
