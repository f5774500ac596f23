"""What the runs of the arms say together: means, paired differences, changes of recall."""

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ganaug.evaluation.arms import RECALL, draw_rows
from ganaug.evaluation.statistics import holm, paired_delta
from ganaug.evaluation.verdict import DECISIVE
from ganaug.rng import numpy_rng

CURVE = ("B", "B'", "D")  # arms of the learning curve
COMPARISONS = (*DECISIVE, "B-A", "C-A", "E-A")
DIGITS = 6  # significant ones that are written, so that a rerun gives the same bytes


def summarise_arms(runs: pd.DataFrame, class_names: Sequence[str]) -> dict[str, Any]:
    """Macro-F1 and recalls of each arm over its seeds, 0..1: on test, and on val as val_*."""
    summary = {}
    for arm in dict.fromkeys(runs["arm"]):
        test, val = (runs[(runs["arm"] == arm) & (runs["split"] == s)] for s in ("test", "val"))
        summary[arm] = {
            "mean": test["macro_f1"].mean(),
            "std": test["macro_f1"].std(),
            "val_mean": val["macro_f1"].mean(),
            "val_std": val["macro_f1"].std(),
            "recall": {name: test[RECALL + name].mean() for name in class_names},
            "num_seeds": len(test),
        }
    return summary


def summarise_networks(
    runs: pd.DataFrame, class_names: Sequence[str], *, confidence: float, seed: int
) -> dict[str, dict[str, Any]]:
    """{network: {"arms", "deltas", "recall_change_pp"}}, with p-values adjusted over networks."""
    found = {}
    for network, own in runs.groupby("network", sort=False):
        arms = summarise_arms(own, class_names)
        found[str(network)] = {
            "arms": arms,
            "deltas": compare_arms(own, confidence=confidence, seed=seed),
            "recall_change_pp": recall_changes(arms),
        }
    deltas = [facts["deltas"] for facts in found.values()]
    for compared, split in itertools.product(deltas[0], ("test", "val")):
        same = [by_arms[compared][split] for by_arms in deltas]
        for delta, p in zip(same, holm([d["p_value"] for d in same]), strict=True):
            delta["p_holm"] = p
    return found


def compare_arms(runs: pd.DataFrame, *, confidence: float, seed: int) -> dict[str, Any]:
    """{"D-B": {"test": `paired_delta`, "val": ...}, ...}; without synthetic images D is B."""
    scores = runs.pivot(index="seed", columns=["arm", "split"], values="macro_f1")
    present = set(runs["arm"])
    deltas = {}
    for arms in COMPARISONS:
        treated, control = arms.split("-")
        if not {treated, control} <= present and arms not in DECISIVE:
            continue
        deltas[arms] = {
            split: paired_delta(
                *(scores[a if a in present else "B", split].tolist() for a in (treated, control)),
                confidence=confidence,
                rng=numpy_rng(seed, "evaluate", "delta", arms, split),
            )
            for split in ("test", "val")
        }
    return deltas


def recall_changes(arms: Mapping[str, Any]) -> dict[str, float]:
    """Recall of D minus that of B, in percentage points, by class; without D it is B."""
    before, after = (arms[arm]["recall"] for arm in ("B", "D" if "D" in arms else "B"))
    return {name: 100 * float(after[name] - before[name]) for name in before}


def at(deltas: Mapping[str, Any], split: str) -> dict[str, Any]:
    """One split's part of `compare_arms`."""
    return {arms: by_split[split] for arms, by_split in deltas.items()}


def learning_curve(
    found: Mapping[float, Mapping[str, Any]], labels: NDArray[np.int64]
) -> list[dict[str, Any]]:
    """Where synthetic images pay: the deciding figures by share of the real training images.

    The GAN has seen all of these, so the smaller shares flatter it: they tell what its images are
    worth to someone who has them and few real ones, not what a GAN of so few would be worth.

    Args:
        found: `summarise_networks` by fraction.
        labels: [N] of the real training images.
    Returns:
        {"fraction", "num_real", "networks": {network: {"arms", "deltas"}}} by rising fraction, on
        test; empty with one fraction.
    """
    if len(found) == 1:
        return []
    return [
        {
            "fraction": fraction,
            "num_real": len(draw_rows(labels, fraction, rng=np.random.default_rng(0))),
            "networks": {
                network: {
                    "arms": {
                        arm: facts["arms"][arm]["mean"] for arm in CURVE if arm in facts["arms"]
                    },
                    "deltas": at({arms: facts["deltas"][arms] for arms in DECISIVE}, "test"),
                }
                for network, facts in networks.items()
            },
        }
        for fraction, networks in sorted(found.items())
    ]


def rounded(content: Any) -> Any:
    """Plain values with every float cut to `DIGITS` significant digits."""
    if isinstance(content, Mapping):
        return {str(key): rounded(value) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return [rounded(value) for value in content]
    if isinstance(content, float):
        return float(f"{content:.{DIGITS}g}")
    return content
