"""What the classifiers say on test: the best recipes of each network, and the textbooks' arms."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ganaug.downstream.choice import Choice, Choices, choose_recipes
from ganaug.downstream.intervals import joint_delta
from ganaug.downstream.recipes import ARMS, PLAIN, Recipe
from ganaug.downstream.runs import NETWORKS, RECALL, Run, Sets, score_runs
from ganaug.downstream.setting import Setting
from ganaug.quality.parts import Part
from ganaug.rng import numpy_rng

SCORED = ("val", "test")
ARM_REPETITIONS = 2  # of the textbooks' arms, which explain and do not decide

Json = dict[str, Any]


@dataclass(frozen=True)
class Trained:
    """Everything that the classifiers have been asked.

    Args:
        choices: by network, made on val.
        runs: a row per classifier and split: network, recipe, repetition, split, macro_f1, recalls,
            seconds; of the choice as well, as `stage` "choice" or "verdict".
        predictions: a row per classifier of the verdict and test image: network, recipe,
            repetition, image_id, group_id, label, predicted.
    """

    choices: Mapping[str, Choice]
    runs: pd.DataFrame
    predictions: pd.DataFrame


def train_all(
    sets: Mapping[str, Sets],
    test: Part,
    *,
    shares: Sequence[float],
    num_repetitions: int,
    setting: Setting,
    num_workers: int,
) -> Trained:
    """Choose the recipes on val, then train them anew, and look at test.

    Args:
        sets: by network.
        test: rows of the test images, in the order of the sets.
        shares: synthetic parts of a batch among which val chooses.
        num_repetitions: of the recipes that decide, 2 or more.
        setting: of all classifiers.
        num_workers: processes.
    """
    chosen = choose_recipes(list(sets), shares, sets, setting=setting, num_workers=num_workers)
    any_synthetic = any(choice.best_with for choice in chosen.networks.values())
    wanted = {
        (net, recipe, number): None  # each once, in order
        for net, choice in chosen.networks.items()
        for recipe, repetitions in _verdict_recipes(choice, num_repetitions, any_synthetic)
        for number in range(repetitions)
    }
    asked = [Run(*run, SCORED) for run in wanted]
    runs = score_runs(asked, sets, setting=setting, num_workers=num_workers, soft=chosen.soft)
    predictions = _predictions(runs[runs["split"] == "test"], test)
    return Trained(chosen.networks, _table(chosen, runs), predictions)


def _verdict_recipes(
    choice: Choice, num_repetitions: int, any_synthetic: bool
) -> list[tuple[Recipe, int]]:
    deciding = [PLAIN, choice.without, *([choice.best_with] if choice.best_with else [])]
    arms = [arm for arm in ARMS.values() if any_synthetic or not arm.share]
    return [(recipe, num_repetitions) for recipe in deciding] + [
        (recipe, min(num_repetitions, ARM_REPETITIONS)) for recipe in arms
    ]


def _table(chosen: Choices, runs: pd.DataFrame) -> pd.DataFrame:
    on_val = chosen.runs[chosen.runs["split"] == "val"]
    parts = [on_val.assign(stage="choice"), runs.assign(stage="verdict")]
    table = pd.concat(parts, ignore_index=True).drop(columns="probabilities")
    return table[["stage", *table.columns.drop("stage")]]


def _predictions(runs: pd.DataFrame, test: Part) -> pd.DataFrame:
    images = test.rows[["image_id", "group_id"]].assign(label=test.data.labels)
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
    delta = partial(
        _compare, predictions, class_names=class_names, confidence=confidence, seed=seed
    )
    gain = delta(without, plain)
    gain.pop("recall")
    uplift = delta(with_them, without) if with_them else None
    recall = uplift.pop("recall") if uplift else None
    return {"plain_gain": gain, "recall_change_pp": recall, "uplift": uplift}


def _describe(recipe: Recipe) -> Json:
    return {"name": recipe.name, "words": recipe.words, "recipe": asdict(recipe)}


def _compare(
    predictions: pd.DataFrame,
    treated: str,
    control: str,
    class_names: Sequence[str],
    *,
    confidence: float,
    seed: int,
) -> Json:
    """`joint_delta` of two recipes, by name; its recalls by class name."""
    said = {recipe: _matrix(predictions, recipe) for recipe in (treated, control)}
    paired = min(len(rows) for rows in said.values())
    first = predictions[predictions["recipe"] == control]
    images = first[first["repetition"] == first["repetition"].min()]
    found = joint_delta(
        said[treated][:paired],
        said[control][:paired],
        images["label"].to_numpy(),
        images["group_id"].to_numpy(),
        num_classes=len(class_names),
        confidence=confidence,
        rng=numpy_rng(seed, "evaluate", "interval", treated, control),
    )
    found["recall"] = {name: found["recall"][i] for i, name in enumerate(class_names)}
    return found


def _matrix(predictions: pd.DataFrame, recipe: str) -> NDArray[np.int64]:
    """Predicted classes [R, N], repetitions in order."""
    own = predictions[predictions["recipe"] == recipe]
    rows = [part["predicted"].to_numpy() for _, part in own.groupby("repetition")]
    return np.stack(rows)


def arm_facts(trained: Trained, class_names: Sequence[str]) -> dict[str, Json]:
    """{network: {arm: mean and std of macro-F1 and mean recalls on test; on val as val_*}}."""
    runs = trained.runs[trained.runs["stage"] == "verdict"]
    facts: dict[str, Json] = {}
    for net in trained.choices:
        facts[net] = {}
        for arm, recipe in ARMS.items():
            own = runs[(runs["network"] == net) & (runs["recipe"] == recipe.name)]
            test, val = (own[own["split"] == split] for split in ("test", "val"))
            if len(test):
                facts[net][arm] = {
                    "mean": test["macro_f1"].mean(),
                    "std": test["macro_f1"].std(),
                    "val_mean": val["macro_f1"].mean(),
                    "val_std": val["macro_f1"].std(),
                    "recall": {name: test[RECALL + name].mean() for name in class_names},
                    "num_repetitions": len(test),
                }
    return facts
