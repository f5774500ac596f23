"""Stage `prepare`: a source of real images -> Parquet shards split into train, val and test.

Params: seed, prepare. Writes, in one folder: train-real-*, val-*, test-*.parquet, prepared.json and
rejected.parquet (a row per rejected image); and metrics: images read, accepted, rejected and left
out, groups, and images per split and class. Beside them budget.json: what it cost.
"""

from pathlib import Path
from typing import Annotated

import typer

from ganaug.budget import measured
from ganaug.config import load_params
from ganaug.errors import run
from ganaug.fileio import write_json
from ganaug.parallel import workers
from ganaug.preparing.prepare import prepare

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def main(
    out: Annotated[Path, typer.Option(file_okay=False, help="Output folder, replaced whole.")],
    metrics: Annotated[Path, typer.Option(dir_okay=False, help="Counts as JSON.")],
    params: Annotated[Path, typer.Option(help="The parameter file.")] = Path("params.yaml"),
) -> None:
    """Read, check, resize and split the real images."""
    p = load_params(params)
    with measured("prepare", metrics.with_name("budget.json")), workers(p.backend) as map_tasks:
        prepared, numbers = prepare(p.prepare, seed=p.seed, out=out, map_tasks=map_tasks)
        write_json(numbers, metrics)
    for note in prepared.notes:
        typer.echo(f"warning: {note}", err=True)
    typer.echo(f"prepare: {prepared.summary()} -> {out}")


if __name__ == "__main__":
    run(app)
