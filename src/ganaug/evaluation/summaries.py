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
    found = {
        str(network): {
            "arms": summarise_arms(own, class_names),
            "deltas": compare_arms(own, confidence=confidence, seed=seed),
            "recall_change_pp": recall_changes(own, class_names),
        }
        for network, own in runs.groupby("network", sort=False)
    }
    deltas = [facts["deltas"] for facts in found.values()]
    for arms, split in itertools.product(deltas[0], ("test", "val")):
        same = [own[arms][split] for own in deltas]
        for delta, p in zip(same, holm([d["p_value"] for d in same]), strict=True):
            delta["p_holm"] = p
    return found


def compare_arms(runs: pd.DataFrame, *, confidence: float, seed: int) -> dict[str, Any]:
    """{"D-B": {"test": `paired_delta`, "val": ...}, ...}; without synthetic images D is B."""
    present = set(runs["arm"])
    deltas = {}
    for arms in COMPARISONS:
        treated, control = arms.split("-")
        if not {treated, control} <= present and arms not in DECISIVE:
            continue
        deltas[arms] = {
            split: paired_delta(
                *(
                    _scores(runs, arm if arm in present else "B", split)
                    for arm in (treated, control)
                ),
                confidence=confidence,
                rng=numpy_rng(seed, "evaluate", "delta", arms, split),
            )
            for split in ("test", "val")
        }
    return deltas


def recall_changes(runs: pd.DataFrame, class_names: Sequence[str]) -> dict[str, float]:
    """Mean recall of D minus that of B on test, in percentage points, by class; 0 without D."""
    test = runs[runs["split"] == "test"]
    if "D" not in set(test["arm"]):
        return dict.fromkeys(class_names, 0.0)
    before, after = (test[test["arm"] == arm] for arm in ("B", "D"))
    columns = {name: RECALL + name for name in class_names}
    return {n: 100 * float(after[c].mean() - before[c].mean()) for n, c in columns.items()}


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


def _scores(runs: pd.DataFrame, arm: str, split: str) -> list[float]:
    """Macro-F1 of an arm by seed."""
    chosen = runs[(runs["arm"] == arm) & (runs["split"] == split)]
    return chosen.sort_values("seed")["macro_f1"].tolist()
