"""`make sweep`: a grid of params as DVC experiments, then the table, best on val first.

KID and the other figures are those of the snapshot that each point would ship.
Each point is trained in a copy of the work tree by `dvc exp run`; the test split stays unseen. The
experiments are kept: `dvc exp apply NAME` takes one over, `dvc exp remove -A` forgets them all.
"""

import json
import subprocess
import sys
from functools import reduce
from operator import getitem
from typing import Any

GRID = ("train.lr=5e-4,1e-3", "train.r1_gamma=0.3,1.0")
METRICS = "results/train/metrics.json"
FIGURES = ("kid", "precision", "recall", "coverage")


def main(grid: list[str]) -> None:
    """Queue the grid, run it one by one, print the table."""
    settings = [argument for point in grid for argument in ("-S", point)]
    _dvc("exp", "run", "--queue", *settings, "train")
    _dvc("exp", "run", "--run-all", "--jobs", "1")
    shown = _dvc("exp", "show", "--json", capture=True)
    print(ranked_table(json.loads(shown), [point.split("=")[0] for point in grid]))


def ranked_table(shown: list[dict[str, Any]], names: list[str]) -> str:
    """The finished experiments of `dvc exp show --json` as text, lowest KID on val first.

    Args:
        shown: one entry a commit, each with its experiments.
        names: params to show, as `section.key`, or deeper.
    """
    rows = []
    for commit in shown:
        for experiment in commit.get("experiments") or []:
            for revision in experiment["revs"]:
                row = _row(experiment.get("name") or revision["rev"][:7], revision, names)
                rows += [row] if row is not None else []
    rows.sort(key=lambda row: float(row[-len(FIGURES)]))
    table = [["experiment", *names, *FIGURES], *rows]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in table
    )


def _row(name: str, revision: dict[str, Any], names: list[str]) -> list[str] | None:
    data = revision.get("data") or {}
    metrics = (data.get("metrics") or {}).get(METRICS, {}).get("data")
    if not metrics or "val" not in metrics:
        return None
    params = data["params"]["params.yaml"]["data"]
    values = [reduce(getitem, place.split("."), params) for place in names]
    figures = [metrics["val"].get(figure) for figure in FIGURES]  # None where classes are too small
    return [name, *map(str, values), *("-" if f is None else f"{f:.3f}" for f in figures)]


def _dvc(*arguments: str, capture: bool = False) -> str:
    command = [sys.executable, "-m", "dvc", *arguments]
    result = subprocess.run(
        command, check=True, text=True, stdout=subprocess.PIPE if capture else None
    )
    return result.stdout or ""


if __name__ == "__main__":
    main(sys.argv[1:] or list(GRID))
