"""What the classifiers say on test: the best recipes of each network, and the textbooks' arms."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from ganaug.downstream.choice import Choice, Choices, choose_recipes
from ganaug.downstream.intervals import joint_delta
from ganaug.downstream.recipes import ARMS, PLAIN, Recipe
from ganaug.downstream.runs import NETWORKS, RECALL, Run, Sets, score_runs
from ganaug.downstream.setting import Setting
from ganaug.parallel import MapTasks
from ganaug.rng import numpy_rng

SCORED = ("val", "test")
ARM_REPETITIONS = 2  # of the textbooks' arms, which explain and do not decide

Json = dict[str, Any]


@dataclass(frozen=True)
class Trained:
    """Everything that the classifiers have been asked.

    Args:
        choices: by network, made on val.
        runs: a row per trained classifier and split: network, recipe, repetition, split, macro_f1,
            recalls, seconds; of the choice as well, as `phase` "choice" or "verdict".
        predictions: a row per classifier trained for the verdict and test image: network, recipe,
            repetition, image_id, group_id, label, predicted.
    """

    choices: Mapping[str, Choice]
    runs: pd.DataFrame
    predictions: pd.DataFrame


def train_all(
    sets: Mapping[str, Sets],
    test: pd.DataFrame,
    *,
    shares: Sequence[float],
    num_repetitions: int,
    setting: Setting,
    map_tasks: MapTasks,
) -> Trained:
    """Choose the recipes on val, then train them anew, and look at test.

    Args:
        sets: by network.
        test: rows of the test images, in the order of the sets.
        shares: synthetic parts of a batch among which val chooses.
        num_repetitions: of the recipes that decide, 2 or more.
        setting: of all classifiers.
        map_tasks: see `score_runs`.
    """
    chosen = choose_recipes(sets, shares, setting=setting, map_tasks=map_tasks)
    any_synthetic = any(choice.best_with for choice in chosen.networks.values())
    asked = [
        Run(net, recipe, number, SCORED)
        for net, choice in chosen.networks.items()
        for recipe, times in verdict_recipes(
            choice.without, choice.best_with, num_repetitions, arms_with=any_synthetic
        ).items()
        for number in range(times)
    ]
    setting = replace(setting, soft=chosen.soft)
    runs = score_runs(asked, sets, setting=setting, map_tasks=map_tasks)
    predictions = _predictions(runs[runs["split"] == "test"], test)
    return Trained(chosen.networks, _table(chosen, runs), predictions)


def verdict_recipes(
    without: Recipe, best_with: Recipe | None, num_repetitions: int, *, arms_with: bool
) -> dict[Recipe, int]:
    """How often each recipe is trained: first those that are compared, then the other arms.

    Args:
        without, best_with: of a network's `Choice`.
        num_repetitions: of these two and of plain training.
        arms_with: whether there are synthetic images for the arms that need them.
    """
    compared = dict.fromkeys((PLAIN, without, best_with or PLAIN), num_repetitions)
    arms = [arm for arm in ARMS.values() if arms_with or not arm.share]
    return compared | {arm: ARM_REPETITIONS for arm in arms if arm not in compared}


def _table(chosen: Choices, runs: pd.DataFrame) -> pd.DataFrame:
    on_val = chosen.runs[chosen.runs["split"] == "val"]
    parts = [on_val.assign(phase="choice"), runs.assign(phase="verdict")]
    table = pd.concat(parts, ignore_index=True).drop(columns="probabilities")
    return table[["phase", *table.columns.drop("phase")]]


def _predictions(runs: pd.DataFrame, test: pd.DataFrame) -> pd.DataFrame:
    images = test[["image_id", "group_id", "label"]]
    said = np.concatenate([own.argmax(axis=1) for own in runs["probabilities"]])
    classifiers = runs[["network", "recipe", "repetition"]]
    return classifiers.merge(images, how="cross").assign(predicted=said)


def network_facts(
    trained: Trained, class_names: Sequence[str], *, confidence: float, seed: int
) -> dict[str, Json]:
    """What verdict.json says of each network; docs/verdict.md explains the keys."""
    facts = {}
    for net, choice in trained.choices.items():
        own = trained.predictions[trained.predictions["network"] == net]
        with_them = choice.best_with.name if choice.best_with else None
        recipes = (PLAIN.name, choice.without.name, with_them)
        facts[net] = {
            "words": NETWORKS[net].words,
            "without": _describe(choice.without),
            "with": _describe(choice.best_with) if choice.best_with else None,
            "chosen_share": choice.recommended.share,
            "at_edge": choice.at_edge,
            **changes(own, recipes, class_names, confidence=confidence, seed=seed),
        }
    return facts


def changes(
    predictions: pd.DataFrame,
    recipes: tuple[str, str, str | None],
    class_names: Sequence[str],
    *,
    confidence: float,
    seed: int,
) -> Json:
    """plain_gain, recall_change_pp and uplift of verdict.json.

    Args:
        predictions: of one network, as in `Trained`.
        recipes: of its column `recipe`: A of `ARMS`, the best without synthetic images, and the
            best with them, or None without any.
        class_names: in the order of labels.
        confidence: level of the intervals, 0..1.
        seed: of the resamples.
    """
    plain, without, with_them = recipes
    images, runs = ["image_id", "group_id", "label"], ["recipe", "repetition"]
    said = predictions.pivot(index=images, columns=runs, values="predicted")
    labels, groups = (said.index.get_level_values(n).to_numpy() for n in ("label", "group_id"))

    def delta(treated: str, control: str) -> Json:
        paired = min(said[treated].shape[1], said[control].shape[1])
        found = joint_delta(
            said[treated].astype(np.int64).to_numpy().T[:paired],
            said[control].astype(np.int64).to_numpy().T[:paired],
            labels,
            groups,
            num_classes=len(class_names),
            confidence=confidence,
            rng=numpy_rng(seed, "evaluate", "interval", treated, control),
        )
        found["recall"] = {name: found["recall"][i] for i, name in enumerate(class_names)}
        return found

    gain = delta(without, plain)
    gain.pop("recall")
    uplift = delta(with_them, without) if with_them else None
    recall = uplift.pop("recall") if uplift else None
    return {"plain_gain": gain, "recall_change_pp": recall, "uplift": uplift}


def _describe(recipe: Recipe) -> Json:
    return {"name": recipe.name, "words": recipe.words, "recipe": asdict(recipe)}


def network_metrics(
    trained: Trained, facts: Mapping[str, Json], class_names: Sequence[str]
) -> dict[str, Json]:
    """What metrics.json says of each network, beside what `network_facts` says of it."""
    runs = trained.runs[trained.runs["phase"] == "verdict"]
    return {
        net: {
            "uplift": facts[net]["uplift"],
            "plain_gain": facts[net]["plain_gain"],
            "arms": _arm_metrics(runs[runs["network"] == net], class_names),
            "choice": {"candidates": choice.val.to_dict("records"), "at_edge": choice.at_edge},
        }
        for net, choice in trained.choices.items()
    }


def _arm_metrics(runs: pd.DataFrame, class_names: Sequence[str]) -> dict[str, Json]:
    """{arm: mean and std of macro-F1 and mean recalls on test; on val as val_*}."""
    found: dict[str, Json] = {}
    for arm, recipe in ARMS.items():
        own = runs[runs["recipe"] == recipe.name]
        test, val = (own[own["split"] == split] for split in ("test", "val"))
        if len(test):
            found[arm] = {
                "mean": test["macro_f1"].mean(),
                "std": test["macro_f1"].std(),
                "val_mean": val["macro_f1"].mean(),
                "val_std": val["macro_f1"].std(),
                "recall": {name: test[RECALL + name].mean() for name in class_names},
                "num_repetitions": len(test),
            }
    return found
