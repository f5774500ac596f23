"""What the runs of the arms say together: means, paired differences, changes of recall."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from ganaug.evaluation.arms import RECALL
from ganaug.evaluation.statistics import paired_delta
from ganaug.evaluation.verdict import DECISIVE
from ganaug.rng import numpy_rng

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


def compare_arms(runs: pd.DataFrame, *, confidence: float, seed: int) -> dict[str, Any]:
    """{"D-B": {"test": `paired_delta`, "val": ...}, ...}; without synthetic images D is B."""
    present = set(runs["arm"])
    deltas = {}
    for arms in COMPARISONS:
        treated, control = arms.split("-")
        if treated not in present and arms not in DECISIVE:
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
