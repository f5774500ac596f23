"""data/prepared, data/synthetic -> results/evaluate: whether and how much synthetic images help.

Params: seed, evaluate. Writes: verdict.json, metrics.json, deltas.csv (a row per
classifier and split), closest_pairs.json, report.html and figures.
"""

import time
from pathlib import Path
from typing import Annotated

import joblib
import typer

from ganaug.budget import measured
from ganaug.config import load_params
from ganaug.errors import run
from ganaug.evaluation.evaluate import evaluate
from ganaug.fileio import write_json, write_text
from ganaug.preparing.prepared import read_prepared
from ganaug.reporting.report import write_report
from ganaug.reporting.sections import PROVENANCE, code_revision

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def main(
    *,
    prepared: Annotated[Path, typer.Option(file_okay=False, help="Prepared dataset.")],
    synthetic: Annotated[Path, typer.Option(file_okay=False, help="Synthetic images.")],
    train: Annotated[Path, typer.Option(file_okay=False, help="Results of train, for curves.")],
    out: Annotated[Path, typer.Option(file_okay=False, help="Results folder, created.")],
    cache: Annotated[Path, typer.Option(file_okay=False, help="Features that outlive a run.")],
    params: Annotated[Path, typer.Option(dir_okay=False)] = Path("params.yaml"),
) -> None:
    """Compare training with and without synthetic images, and decide whether to ship them."""
    p = load_params(params)
    began = time.monotonic()
    with measured("evaluate", out / "budget.json") as costs:
        dataset = read_prepared(prepared)
        result = evaluate(dataset, synthetic, params=p.evaluate, seed=p.seed, cache=cache)
        write_json(result.metrics, out / "metrics.json")
        write_json(result.verdict, out / "verdict.json")
        write_json(result.pairs, out / "closest_pairs.json")
        table = result.runs.to_csv(index=False, float_format="%.6f", lineterminator="\n")
        write_text(table, out / "deltas.csv")
        write_report(
            out=out,
            prepared=prepared,
            synthetic=synthetic,
            train=train,
            metrics=result.metrics,
            verdict=result.verdict,
            params=p.model_dump(mode="json", exclude={"merge"}),
        )
        # In a file of its own: the report must come out the same wherever it is made again.
        write_json({"git_revision": code_revision(Path())}, out / PROVENANCE)
        core_seconds = joblib.cpu_count() * (time.monotonic() - began)
        costs["share_of_cores_training_classifiers"] = round(result.fit_seconds / core_seconds, 3)
    typer.echo(f"evaluate: {result.verdict['decision']}. {result.verdict['sentence']} -> {out}")


if __name__ == "__main__":
    run(app)
