"""The choice of recipes on val: the best without synthetic images, then the best with them.

Each candidate is trained twice; the better half twice more, on the same repetitions, so that their
differences are paired (successive halving: Jamieson and Talwalkar 2016, arXiv:1502.07943). Of the
recipes that are within one standard error of the best, the one that leans least on synthetic images
is recommended (Breiman et al. 1984); the best one without any competes on these terms.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from ganaug.downstream.batches import class_need
from ganaug.downstream.recipes import (
    TEACHER,
    Recipe,
    are_lopsided,
    with_synthetic,
    without_synthetic,
)
from ganaug.downstream.runs import NETWORKS, Probabilities, Run, Sets, score_runs
from ganaug.downstream.setting import Setting
from ganaug.rng import derive_seed

ROUNDS = ((0, 1), (2, 3))  # repetitions of all candidates, then of the better half
TAUGHT = ("train", "synthetic")  # what the teachers label
TEACHING = "cnn"  # the network of the teachers
FEWEST = 2  # candidates that reach the second round


@dataclass(frozen=True)
class Choice:
    """The recipes of one network.

    Args:
        without: the best one without synthetic images.
        recommended: the leanest of those within one standard error of the best, `without` being a
            candidate; the verdict counts the network only if this has synthetic images.
        best_with: the recipe with them that is compared on test: `recommended` if it has some, else
            the best one; None without any.
        val: macro-F1 on val, 0..1, a row a candidate, best first: recipe (its name), mean, se (of
            its difference from the best of the last round), repetitions.
        at_edge: whether the winner has the largest share that was tried.
    """

    without: Recipe
    recommended: Recipe
    best_with: Recipe | None
    val: pd.DataFrame
    at_edge: bool


@dataclass(frozen=True)
class Choices:
    """What the choice comes to.

    Args:
        networks: by network.
        soft: what the teachers say of "train" and "synthetic", [N, K]; empty without the CNN.
        runs: as `score_runs` gives them, without probabilities.
    """

    networks: Mapping[str, Choice]
    soft: Mapping[str, Probabilities]
    runs: pd.DataFrame


def choose_recipes(
    networks: Sequence[str],
    shares: Sequence[float],
    sets: Mapping[str, Sets],
    *,
    setting: Setting,
    num_workers: int,
) -> Choices:
    """Choose on val for each network; "test" is not looked at.

    Args:
        networks: of `NETWORKS`.
        shares: synthetic parts of a batch to try, 0 < share < 1; not used without such images.
        sets: by network.
        setting: of all runs; the repetitions here are others than those of the verdict.
        num_workers: processes.
    """
    search = _Search(sets, replace(setting, seed=derive_seed(setting.seed, "choice")), num_workers)
    first, second = ROUNDS
    plain = {net: without_synthetic(mixes=NETWORKS[net].in_steps) for net in networks}
    search.run(plain, first)
    soft = search.teach()
    search.soft = soft
    plain = {net: search.better_half(net, own) for net, own in plain.items()}
    search.run(plain, second)
    without = {net: search.best(net, own) for net, own in plain.items()}
    if soft:  # on the recipe that gets synthetic images, or these would get the credit
        softened = {
            net: [replace(recipe, soft_labels=True)]
            for net, recipe in without.items()
            if NETWORKS[net].in_steps
        }
        search.run(softened, first + second)
        without |= {net: search.best(net, [without[net], *own]) for net, own in softened.items()}

    mixed: dict[str, list[Recipe]] = {net: [] for net in networks}
    own = sets[networks[0]]
    if len(own["synthetic"].labels):
        lopsided = are_lopsided(search.num_real.tolist())
        for net, recipe in without.items():
            how = {"in_steps": NETWORKS[net].in_steps, "soft_labels": bool(soft)}
            mixed[net] = with_synthetic(recipe, shares, lopsided=lopsided, **how)
        search.run(mixed, first)
        mixed = {net: search.better_half(net, own) for net, own in mixed.items()}
        search.run(mixed, second)
    found = {net: search.settle(net, without[net], mixed[net], shares) for net in networks}
    return Choices(found, soft, search.runs.drop(columns="probabilities"))


class _Search:
    """The runs so far, and what they say."""

    def __init__(self, sets: Mapping[str, Sets], setting: Setting, num_workers: int) -> None:
        self._score = partial(score_runs, sets=sets, setting=setting, num_workers=num_workers)
        self.soft: Mapping[str, Probabilities] = {}
        self.runs = pd.DataFrame()
        labels = next(iter(sets.values()))["train"].labels
        self.num_real = np.bincount(labels, minlength=len(setting.class_names))  # by class

    def run(self, candidates: Mapping[str, Sequence[Recipe]], repetitions: Sequence[int]) -> None:
        """Train what has not been trained yet."""
        done = set()
        if len(self.runs):
            done = set(self.runs[["network", "recipe", "repetition"]].itertuples(index=False))
        runs = [
            Run(net, recipe, number, self._scored(net, recipe))
            for net, own in candidates.items()
            for recipe in own
            for number in repetitions
            if (net, recipe.name, number) not in done
        ]
        if runs:
            self.runs = pd.concat([self.runs, self._score(runs, soft=self.soft)], ignore_index=True)

    def _scored(self, net: str, recipe: Recipe) -> tuple[str, ...]:
        """Only the teachers label images, once they have been trained in the first round."""
        teaches = (net, recipe) == (TEACHING, TEACHER) and not self.soft
        return ("val", *TAUGHT) if teaches else ("val",)

    def teach(self) -> dict[str, Probabilities]:
        """Mean probabilities of the teachers for the images that they label; empty without any."""
        taught = self.runs[
            (self.runs["network"] == TEACHING) & (self.runs["recipe"] == TEACHER.name)
        ]
        by_split = taught.groupby("split")["probabilities"]
        if taught.empty:
            return {}
        return {split: np.mean(by_split.get_group(split).tolist(), axis=0) for split in TAUGHT}

    def scores(self, net: str, name: str) -> "pd.Series[float]":
        """Macro-F1 on val by repetition."""
        runs = self.runs
        own = runs[(runs["network"] == net) & (runs["recipe"] == name) & (runs["split"] == "val")]
        return own.set_index("repetition")["macro_f1"]

    def better_half(self, net: str, candidates: Sequence[Recipe]) -> list[Recipe]:
        """The better half so far, best first."""
        ranked = sorted(candidates, key=lambda recipe: -self.scores(net, recipe.name).mean())
        return ranked[: max(FEWEST, len(candidates) // 2)]

    def best(self, net: str, candidates: Sequence[Recipe]) -> Recipe:
        """The best mean; of equals the first."""
        return max(candidates, key=lambda recipe: self.scores(net, recipe.name).mean())

    def settle(
        self, net: str, without: Recipe, mixed: Sequence[Recipe], shares: Sequence[float]
    ) -> Choice:
        """The choice among the recipes that reached the last round, and none."""
        best = self.scores(net, self.best(net, [without, *mixed]).name)

        def is_close(recipe: Recipe) -> bool:
            own = self.scores(net, recipe.name)
            return bool(best.mean() - own.mean() <= _paired_error(best, own))

        leanest = min((r for r in [without, *mixed] if is_close(r)), key=self._amount)
        best_with = leanest if leanest.share else (self.best(net, mixed) if mixed else None)
        tried = self.runs.loc[self.runs["network"] == net, "recipe"].unique()
        val = pd.DataFrame([self._describe(net, name, best) for name in tried])
        return Choice(
            without=without,
            recommended=leanest,
            best_with=best_with,
            val=val.sort_values("mean", ascending=False, ignore_index=True),
            at_edge=leanest.share == max(shares),
        )

    def _amount(self, recipe: Recipe) -> float:
        law = self.num_real > 0 if recipe.balanced else self.num_real
        return recipe.amount(float(np.average(class_need(self.num_real, recipe), weights=law)))

    def _describe(self, net: str, name: str, best: "pd.Series[float]") -> dict[str, Any]:
        own = self.scores(net, name)
        se = _paired_error(best, own)
        return {"recipe": name, "mean": own.mean(), "se": se, "repetitions": len(own)}


def _paired_error(best: "pd.Series[float]", other: "pd.Series[float]") -> float:
    """Standard error of the mean difference over the repetitions that both have; 0 of itself."""
    both = (best - other).dropna()
    return float(both.std() / np.sqrt(len(both)))
