"""`ganaug`: what people run by hand. The stages under pipeline/ are for DVC."""

from pathlib import Path
from typing import Annotated

import typer

from ganaug.errors import GanaugError, run
from ganaug.fileio import atomic_file, read_json

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, no_args_is_help=True)

COLUMNS = 8  # of a sample grid


@app.callback()
def ganaug() -> None:
    """Augment a small labelled image dataset with a GAN, and say whether that helps."""


@app.command()
def summary(
    augmented: Annotated[Path, typer.Option(help="The merged dataset.")] = Path("data/augmented"),
    results: Annotated[Path, typer.Option(help="The results folder.")] = Path("results"),
) -> None:
    """Show what the last run gave: counts per class, the verdict, where things lie."""
    from ganaug.publishing.merge import merge_summary

    verdict = results / "evaluate" / "verdict.json"
    typer.echo(merge_summary(read_json(augmented / "manifest.json"), read_json(verdict)))
    typer.echo(f"dataset: {augmented}")
    typer.echo(f"report:  {results / 'evaluate' / 'report.html'}")


@app.command()
def sample(
    out: Annotated[Path, typer.Option(dir_okay=False, help="PNG to write.")],
    class_name: Annotated[
        str | None, typer.Option("--class", help="Class name; without it, a row for each class.")
    ] = None,
    num: Annotated[int, typer.Option(min=1, help="Images for each class.")] = 16,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the first image; the next follow.")] = 0,
    latent_std: Annotated[float, typer.Option(min=0.01, help="Above 1 more varied.")] = 1.0,
    truncation: Annotated[
        float | None, typer.Option(min=0.01, help="Cut the latents: more typical images.")
    ] = None,
    snapshot: Annotated[Path, typer.Option(help="Generator folder.")] = Path("models/generator"),
) -> None:
    """Draw a grid of synthetic images from a snapshot alone: no dataset, no GPU."""
    from ganaug.gan.sampling import LatentLaw
    from ganaug.gan.sampling import sample as sample_images
    from ganaug.gan.snapshot import load_snapshot
    from ganaug.images import encode_png, tile

    model = load_snapshot(snapshot)
    if class_name is not None and class_name not in model.classes:
        raise GanaugError(f"--class {class_name}: not one of {', '.join(model.classes)}")
    wanted = model.classes if class_name is None else (class_name,)
    labels = [model.classes.index(name) for name in wanted for _ in range(num)]
    seeds = [seed + i for _ in wanted for i in range(num)]
    law = LatentLaw(latent_std, truncation)
    images = sample_images(model.generator, labels, seeds, law=law)
    columns = min(num, COLUMNS) if class_name is not None else num
    with atomic_file(out) as temporary:
        temporary.write_bytes(encode_png(tile(images, columns=columns)))
    typer.echo(f"{len(images)} images of {', '.join(wanted)}, from seed {seed} -> {out}")


def main() -> None:
    """Entry point of the console script."""
    run(app)
