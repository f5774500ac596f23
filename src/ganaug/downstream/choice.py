"""The choice of recipes on val: the best without synthetic images, then the best with them.

Each candidate is trained twice, the better half twice more (successive halving: Jamieson and
Talwalkar 2016, arXiv:1502.07943). The first repetition of all has one seed, and so on: differences
are paired. Of the recipes that are within one standard error of the best, the one that leans least
on synthetic images is recommended (Breiman et al. 1984); the best one without any competes on these
terms.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
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
from ganaug.parallel import MapTasks
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
        at_edge: whether `recommended` has the largest share that was tried.
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
    sets: Mapping[str, Sets], shares: Sequence[float], *, setting: Setting, map_tasks: MapTasks
) -> Choices:
    """Choose on val for each network; "test" is not looked at.

    Args:
        sets: by network, of `NETWORKS`.
        shares: synthetic parts of a batch to try, 0 < share < 1; not used without such images.
        setting: of all runs; the repetitions here are others than those of the verdict.
        map_tasks: see `score_runs`.
    """
    search = _Search(sets, replace(setting, seed=derive_seed(setting.seed, "choice")), map_tasks)
    in_steps = {net: NETWORKS[net].in_steps for net in sets}
    finalists = search.halve({net: without_synthetic(mixes=in_steps[net]) for net in sets})
    without = {net: search.best(net, own) for net, own in finalists.items()}
    soft = search.teach()
    if soft:  # on the recipe that gets synthetic images, or these would get the credit
        search.setting = replace(search.setting, soft=soft)
        softened = {
            net: [replace(recipe, soft_labels=True)]
            for net, recipe in without.items()
            if in_steps[net]
        }
        search.run(softened, [*chain(*ROUNDS)])
        without |= {net: search.best(net, [without[net], *own]) for net, own in softened.items()}

    mixed: dict[str, list[Recipe]] = {net: [] for net in sets}
    if any(len(own["synthetic"].labels) for own in sets.values()):
        how = {"lopsided": are_lopsided(search.num_real.tolist()), "soft_labels": bool(soft)}
        for net, recipe in without.items():
            mixed[net] = with_synthetic(recipe, shares, in_steps=in_steps[net], **how)
        mixed = search.halve(mixed)
    found = {net: search.settle(net, without[net], mixed[net], shares) for net in sets}
    return Choices(found, soft, search.runs.drop(columns="probabilities"))


class _Search:
    """The runs so far, and what they say."""

    def __init__(self, sets: Mapping[str, Sets], setting: Setting, map_tasks: MapTasks) -> None:
        self._score = partial(score_runs, sets=sets, map_tasks=map_tasks)
        self.setting = setting
        self.runs = pd.DataFrame()
        labels = next(iter(sets.values()))["train"].labels
        self.num_real = np.bincount(labels, minlength=len(setting.class_names))  # by class

    def halve(self, candidates: Mapping[str, Sequence[Recipe]]) -> dict[str, list[Recipe]]:
        """Train all in the first round, the better half in the second; that half, best first."""
        first, second = ROUNDS
        self.run(candidates, first)
        better = {}
        for net, own in candidates.items():
            ranked = sorted(own, key=lambda recipe: -self.scores(net, recipe.name).mean())
            better[net] = ranked[: max(FEWEST, len(own) // 2)]
        self.run(better, second)
        return better

    def run(self, candidates: Mapping[str, Sequence[Recipe]], repetitions: Sequence[int]) -> None:
        """Train them; none has been trained before."""
        runs = [
            Run(net, recipe, number, _scored(net, recipe, number))
            for net, own in candidates.items()
            for recipe in own
            for number in repetitions
        ]
        scored = self._score(runs, setting=self.setting)
        self.runs = pd.concat([self.runs, scored], ignore_index=True)

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
        val = pd.DataFrame([_describe(name, self.scores(net, name), best) for name in tried])
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


def _scored(net: str, recipe: Recipe, repetition: int) -> tuple[str, ...]:
    """What a run is asked about: only the teachers, those of the first round, label images."""
    teaches = (net, recipe) == (TEACHING, TEACHER) and repetition in ROUNDS[0]
    return ("val", *TAUGHT) if teaches else ("val",)


def _describe(name: str, own: "pd.Series[float]", best: "pd.Series[float]") -> dict[str, Any]:
    se = _paired_error(best, own)
    return {"recipe": name, "mean": own.mean(), "se": se, "repetitions": len(own)}


def _paired_error(best: "pd.Series[float]", other: "pd.Series[float]") -> float:
    """Standard error of the mean difference over the repetitions that both have; 0 of itself."""
    both = (best - other).dropna()
    return float(both.std() / np.sqrt(len(both)))
