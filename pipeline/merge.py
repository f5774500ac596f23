"""Stage merge: real and synthetic shards -> the dataset that is published, as the verdict says.

Params: merge, evaluate.classical. Writes, in one folder: the shards, manifest.json, README.md (the
dataset card), croissant.json and classical.json (the policy of classical augmentation); and
metrics.json: the decision, images by source, and by class of train. Beside it budget.json: what it
cost.
"""

from pathlib import Path
from typing import Annotated

import typer

from ganaug.budget import measured
from ganaug.config import load_params
from ganaug.errors import run
from ganaug.fileio import read_json, write_json
from ganaug.publishing.merge import merge_dataset, merge_metrics, merge_summary

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def main(
    *,
    prepared: Annotated[Path, typer.Option(help="Folder that `prepare` wrote.")],
    synthetic: Annotated[Path, typer.Option(help="Folder that `generate` wrote.")],
    verdict: Annotated[Path, typer.Option(help="verdict.json that `evaluate` wrote.")],
    out: Annotated[Path, typer.Option(file_okay=False, help="Dataset folder, replaced.")],
    metrics: Annotated[Path, typer.Option(dir_okay=False, help="metrics.json to write.")],
    params: Annotated[Path, typer.Option(help="The parameter file.")] = Path("params.yaml"),
) -> None:
    """Build the dataset; what the verdict recommends is what loads by default."""
    p = load_params(params)
    decided = read_json(verdict)
    with measured("merge", metrics.with_name("budget.json")):
        manifest = merge_dataset(
            prepared=prepared,
            synthetic=synthetic,
            verdict=decided,
            out=out,
            params=p.merge,
            classical=p.evaluate.classical,
        )
        write_json(merge_metrics(manifest), metrics)
    typer.echo(merge_summary(manifest, decided))
    typer.echo(f"merge: dataset in {out}")


if __name__ == "__main__":
    run(app)
