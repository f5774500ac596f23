"""How many synthetic images go with a real one: chosen on val, with none always a candidate."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ganaug.evaluation.arms import FIT_SECONDS, NETWORKS, Recipe, Run, Sets, score_runs
from ganaug.rng import derive_seed

NUM_SEEDS = 2  # repetitions of each candidate, other ones than those that the verdict rests on


@dataclass(frozen=True)
class Ratio:
    """The choice.

    Args:
        val_macro_f1: mean over repetitions and networks, 0..1, by candidate.
        fit_seconds: spent in training classifiers, summed over processes.
    """

    val_macro_f1: Mapping[float, float]
    fit_seconds: float = 0.0

    @property
    def chosen(self) -> float:
        """Synthetic images per real one; 0 unless a share of them did better than none."""
        helps = self.val_macro_f1[self.measured] > self.val_macro_f1[0]
        return self.measured if helps else 0.0

    @property
    def measured(self) -> float:
        """The best one above 0, of equals the least: the arms use it, so that there are figures."""
        candidates = sorted(ratio for ratio in self.val_macro_f1 if ratio > 0)
        return max(candidates, key=lambda ratio: self.val_macro_f1[ratio])

    def to_dict(self) -> dict[str, Any]:
        """What verdict.json says of it."""
        return {"chosen": self.chosen, "measured": self.measured, "val": dict(self.val_macro_f1)}


def choose_ratio(
    candidates: Sequence[float],
    sets: Mapping[str, Sets],
    *,
    recipe: Recipe,
    seed: int,
    num_workers: int,
) -> Ratio:
    """Arm D at each candidate above 0, arm B at 0, all scored on val alone.

    Args:
        candidates: synthetic images per real one, >= 0, some above 0.
        sets: by network; "test" is not looked at.
        recipe: of all classifiers.
        seed: all seeds derive from it.
        num_workers: processes.
    """
    runs = [
        Run(network, "D" if ratio else "B", number, ratio)
        for ratio in candidates
        for number in range(NUM_SEEDS)
        for network in NETWORKS
    ]
    scores = score_runs(
        runs,
        sets,
        ["val"],
        recipe=recipe,
        seed=derive_seed(seed, "ratio"),
        num_workers=num_workers,
    )
    return Ratio(
        {r: float(scores.loc[scores["ratio"] == r, "macro_f1"].mean()) for r in candidates},
        float(scores[FIT_SECONDS].sum()),
    )
