"""data/prepared, data/synthetic -> results/evaluate: whether and how much synthetic images help.

Params: seed, evaluate, prepare.near_duplicate_distance. Writes: verdict.json, metrics.json,
runs.csv (a row per trained classifier and split), predictions.parquet (a row per classifier trained
for the verdict and test image), closest_pairs.json.
"""

import time
from pathlib import Path
from typing import Annotated

import joblib
import typer

from ganaug.budget import measured
from ganaug.config import load_params
from ganaug.errors import run
from ganaug.fileio import atomic_file, sha256_file, write_json, write_sealed, write_text
from ganaug.parallel import workers
from ganaug.preparing.prepared import read_prepared
from ganaug.verdict.evaluate import evaluate

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def main(
    *,
    prepared: Annotated[Path, typer.Option(file_okay=False, help="Prepared dataset.")],
    synthetic: Annotated[Path, typer.Option(file_okay=False, help="Synthetic images.")],
    out: Annotated[Path, typer.Option(file_okay=False, help="Results folder, created.")],
    cache: Annotated[Path, typer.Option(file_okay=False, help="Features that outlive a run.")],
    params: Annotated[Path, typer.Option(dir_okay=False)] = Path("params.yaml"),
) -> None:
    """Compare training with and without synthetic images, and decide whether to ship them."""
    p = load_params(params)
    began = time.monotonic()
    with measured("evaluate", out / "budget.json") as costs, workers(p.backend) as map_tasks:
        dataset = read_prepared(prepared)
        result = evaluate(
            dataset,
            synthetic,
            params=p.evaluate,
            near_duplicate_distance=p.prepare.near_duplicate_distance,
            seed=p.seed,
            cache=cache,
            map_tasks=map_tasks,
        )
        write_json(result.metrics, out / "metrics.json")
        write_json(result.pairs, out / "closest_pairs.json")
        beside = {n: sha256_file(out / n) for n in ("metrics.json", "closest_pairs.json")}
        write_sealed({**result.verdict, "beside": beside}, out / "verdict.json")
        table = result.runs.drop(columns="seconds")
        text = table.to_csv(index=False, float_format="%.6f", lineterminator="\n")
        write_text(text, out / "runs.csv")
        with atomic_file(out / "predictions.parquet") as temporary:
            result.predictions.to_parquet(temporary, index=False)
        if p.backend == "loky":  # a cluster's cores are not counted
            core_seconds = joblib.cpu_count() * (time.monotonic() - began)
            share = float(result.runs["seconds"].sum()) / core_seconds
            costs["share_of_cores_training_classifiers"] = round(share, 3)
    typer.echo(f"evaluate: {result.verdict['decision']}. {result.verdict['sentence']} -> {out}")


if __name__ == "__main__":
    run(app)
