"""The HTML report: one page that needs no network, with the verdict first.

It also writes the figures as PNG files, so that `dvc plots` can compare two versions.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from ganaug.errors import DatasetError, explained
from ganaug.fileio import atomic_folder, read_json, require_files, sha256_file, write_text
from ganaug.preparing.prepared import read_prepared
from ganaug.publishing.judged import require_judged
from ganaug.publishing.wording import HEADLINES, study_rows, without_article
from ganaug.reporting.illustrations import draw_charts, draw_examples, draw_origins, draw_pairs
from ganaug.reporting.provenance import PROVENANCE, versions
from ganaug.templates import render

LOSSES = ("generator", "discriminator", "total")


def write_report(
    *,
    out: Path,
    prepared: Path,
    synthetic: Path,
    train: Path,
    evaluated: Path,
    studies: Path,
    params: Mapping[str, Any],
) -> None:
    """Write report.html and figures/*.png into `out`, each whole or not at all.

    Args:
        out: results folder of `report`.
        prepared: folder of `prepare`.
        synthetic: folder of `generate`, perhaps without a shard.
        train: results folder of `train`, with DVCLive's curves.
        evaluated: results folder of `evaluate`.
        studies: folder of NAME.json, what `folds.run_folds` found on other data; perhaps empty.
        params: of the run.
    Raises:
        DatasetError: a file of an earlier stage is missing.
    """
    dataset, generation = read_prepared(prepared), read_json(synthetic / "synthetic.json")
    files = generation["files"]
    require_files(synthetic, files, listed_in="synthetic.json", stage="generate")
    metrics, verdict, closest = (
        read_json(evaluated / f"{name}.json") for name in ("metrics", "verdict", "closest_pairs")
    )
    _require_beside(verdict, evaluated)
    generator_id = generation["generator_id"]
    require_judged(verdict, generator_id=generator_id, files=dataset.files | files)
    shards = sorted(synthetic / name for name in files)
    losses, kid = read_curves(train)
    drawn = _drawn(generation)
    with atomic_folder(out / "figures") as folder:
        charts = draw_charts(folder, verdict=verdict, losses=losses, kid=kid, drawn=drawn)
        figures = charts | {
            "pairs": draw_pairs(folder, closest, shards, dataset.shards("train")),
            "examples": draw_examples(folder, dataset, shards),
            "origins": draw_origins(folder, dataset, shards),
        }
    text = render(
        Path(__file__).with_name("report.html.jinja"),
        dataset=dataset,
        generation=generation,
        metrics=metrics,
        verdict=verdict,
        headlines=HEADLINES,
        studies=[
            row
            for file in sorted(studies.glob("*.json"))
            for row in study_rows(file.stem, read_json(file))
        ],
        without_article=without_article,
        recall_heads=[f"Recall change, {net}, pp" for net in verdict["networks"]],
        losses=losses,
        kid=kid,
        drawn=drawn,
        provenance=PROVENANCE,
        versions=versions(),
        params=json.dumps(params, indent=2),
        figures=figures,
    )
    write_text(text.strip() + "\n", out / "report.html")


def _drawn(generation: Mapping[str, Any]) -> pd.DataFrame:
    """Images drawn, a row a class: a column "kept", and one for each reason to drop them."""
    drawn = pd.DataFrame(generation["rejected"]).T.fillna(0).astype(int)
    drawn = drawn.rename(columns=lambda reason: reason.replace("_", " "))
    drawn.insert(0, "kept", pd.Series(generation["accepted"]))
    return drawn


def _require_beside(verdict: Mapping[str, Any], folder: Path) -> None:
    """Check that the files beside the verdict are those that its run wrote."""
    for name, sha256 in verdict.get("beside", {}).items():
        if sha256_file(folder / name) != sha256:
            raise DatasetError(
                f"{folder / name}: not what the stage evaluate wrote beside verdict.json; run it"
            )


def read_curves(train: Path) -> tuple[pd.DataFrame, pd.Series]:
    """Losses, a column each that the family has, and KID on val, both by real images seen.

    Raises:
        DatasetError: a curve is missing.
    """
    curves = train / "plots" / "metrics"
    paths = {name: curves / "loss" / f"{name}.tsv" for name in LOSSES}
    there = {name: path for name, path in paths.items() if path.is_file() or name == "total"}
    losses = pd.DataFrame({name: _curve(path) for name, path in there.items()})
    return losses, _curve(curves / "val" / "kid.tsv")


def _curve(path: Path) -> pd.Series:
    """A file of DVCLive: the columns step and, named like the file, the value."""
    if not path.is_file():
        raise DatasetError(f"{path}: no such curve; run the stage train")
    strange, then = (ValueError, KeyError), "run the stage train"
    with explained(DatasetError, f"{path}: no curve", *strange, then=then):
        table: pd.DataFrame = pd.read_csv(path, sep="\t").apply(pd.to_numeric)
        return table.set_index("step")[path.stem]
