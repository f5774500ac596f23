"""The results of all stages -> results/report: one page with the verdict first, and its figures.

Params: all but those of merge, shown. Writes: report.html, figures/*.png, provenance.json (which
commit's code ran) and budget.json: what it cost.
"""

from pathlib import Path
from typing import Annotated

import typer

from ganaug.budget import measured
from ganaug.config import load_params
from ganaug.errors import run
from ganaug.fileio import write_json
from ganaug.reporting.provenance import PROVENANCE, code_revision
from ganaug.reporting.report import write_report

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def main(
    *,
    prepared: Annotated[Path, typer.Option(file_okay=False, help="Prepared dataset.")],
    synthetic: Annotated[Path, typer.Option(file_okay=False, help="Synthetic images.")],
    train: Annotated[Path, typer.Option(file_okay=False, help="Results of train, for curves.")],
    evaluate: Annotated[Path, typer.Option(file_okay=False, help="Results of evaluate.")],
    studies: Annotated[Path, typer.Option(file_okay=False, help="Results of `make studies`.")],
    out: Annotated[Path, typer.Option(file_okay=False, help="Results folder, created.")],
    params: Annotated[Path, typer.Option(dir_okay=False)] = Path("params.yaml"),
) -> None:
    """Write the report from the results alone: it trains nothing."""
    p = load_params(params)
    with measured("report", out / "budget.json"):
        write_report(
            out=out,
            prepared=prepared,
            synthetic=synthetic,
            train=train,
            evaluated=evaluate,
            studies=studies,
            params=p.model_dump(mode="json", exclude={"backend", "merge"}),  # not on the page
        )
        # In a file of its own: the report must come out the same wherever it is made again.
        write_json({"git_revision": code_revision(Path())}, out / PROVENANCE)
    typer.echo(f"report: {out / 'report.html'}")


if __name__ == "__main__":
    run(app)
