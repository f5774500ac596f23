"""`ganaug`: the commands that people run. DVC runs the stages under pipeline/."""

import re
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer import Argument, Option

from ganaug.config import MOST_PIXELS, change_params, load_params
from ganaug.errors import DatasetError, GanaugError, require_known, run
from ganaug.fileio import read_json, write_bytes, write_json, write_text

if TYPE_CHECKING:
    from ganaug.images import Pixels

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, no_args_is_help=True)

COLUMNS = 8  # of a sample grid

# Options that several commands share, and two defaults.
ParamsFile = Annotated[Path, Option(dir_okay=False)]
PARAMS = Path("params.yaml")
PreparedFolder = Annotated[Path, Option(help="Prepared dataset.")]
MergedFolder = Annotated[Path, Option(help="The merged dataset.")]
MERGED = Path("data/augmented")
SnapshotFolder = Annotated[Path, Option(help="Generator folder.")]
GroupPattern = Annotated[
    str | None, Option(help="Regular expression; its (group) stays in one split.")
]


@app.callback()
def ganaug() -> None:
    """Augment a small labelled image dataset with a GAN, and say whether that helps."""


@app.command()
def summary(
    augmented: MergedFolder = MERGED,
    results: Annotated[Path, Option(help="The results folder.")] = Path("results"),
) -> None:
    """Show the last run: images per class, the verdict, where the files are."""
    from ganaug.publishing.manifest import read_manifest
    from ganaug.publishing.merge import merge_summary

    verdict = results / "evaluate" / "verdict.json"
    typer.echo(merge_summary(read_manifest(augmented), read_json(verdict)))
    typer.echo(f"dataset: {augmented}")
    typer.echo(f"report:  {results / 'report' / 'report.html'}")


@app.command()
def plan(
    prepared: PreparedFolder = Path("data/prepared"),
    results: Annotated[Path, Option(help="What the stages cost last time.")] = Path("results"),
    gpu: Annotated[str, Option(help="What would it change? T4 | A100 | H100 | H200")] = "H100",
    params: ParamsFile = PARAMS,
) -> None:
    """Say what a run will cost on this machine, by a probe of some seconds."""
    p = load_params(params)  # before imports of some seconds
    from ganaug.plan import GPUS, describe, read_real
    from ganaug.probe import probe

    require_known("--gpu", gpu, GPUS)
    real = read_real(prepared, p.prepare)
    speeds = probe(p, len(real.classes))
    typer.echo(describe(p, real, speeds, results=results, gpu=gpu))


@app.command()
def folds(
    num: Annotated[int, Option(min=2, help="Outer folds.")] = 3,
    out: Annotated[Path, Option(dir_okay=False, help="JSON.")] = Path("results/folds.json"),
) -> None:
    """Run the whole pipeline on several outer folds, and judge all their test images together."""
    from ganaug.folds import run_folds
    from ganaug.publishing.wording import HEADLINES
    from ganaug.templates import interval, points

    found = run_folds(Path(), num, scratch=Path(".ganaug/folds"))
    write_json(found, out)
    for facts in found["networks"].values():
        delta = facts["uplift"]
        typer.echo(
            f"with {facts['words']}, synthetic images change macro-F1 by "
            f"{points(delta['mean_pp'])} pp {interval(delta)} over {num} folds"
        )
    typer.echo(f"{HEADLINES[found['decision']]}. {' '.join(found['reasons'])} -> {out}")


@app.command()
def sample(
    out: Annotated[Path, Option(dir_okay=False, help="PNG to write; or WAV, of sound.")],
    class_name: Annotated[
        str | None, Option("--class", help="Class name; without it, a row for each class.")
    ] = None,
    num: Annotated[int, Option(min=1, help="Images for each class.")] = 16,
    seed: Annotated[int, Option(min=0, help="Seed of the first image; the next follow.")] = 0,
    latent_std: Annotated[float, Option(min=0.01, help="Above 1 more varied.")] = 1.0,
    truncation: Annotated[
        float | None, Option(min=0.01, help="Truncate the latents: more typical images.")
    ] = None,
    snapshot: SnapshotFolder = Path("models/generator"),
) -> None:
    """Draw a grid of synthetic images, or their sounds one after another, from a snapshot alone."""
    from ganaug.gan.sampling import LatentLaw
    from ganaug.gan.sampling import sample as sample_images
    from ganaug.gan.snapshot import load_snapshot
    from ganaug.images import encode_png, tile

    model = load_snapshot(snapshot)
    names, columns = model.classes, num
    if class_name is not None:
        require_known("--class", class_name, model.classes)
        names, columns = (class_name,), min(num, COLUMNS)
    labels = [model.classes.index(name) for name in names for _ in range(num)]
    seeds = list(range(seed, seed + num)) * len(names)
    law = LatentLaw(latent_std, truncation)
    images = sample_images(model.generator, labels, seeds, law=law)
    if out.suffix.lower() != ".wav":
        content = encode_png(tile(images, columns=columns))
    elif model.sound is None:
        raise GanaugError(f"{snapshot} makes images, not sound: give a .png")
    else:
        content = _as_wav(images, model.sound["scale"])
    write_bytes(content, out)
    typer.echo(f"{len(images)} images of {', '.join(names)}, from seed {seed} -> {out}")


def _as_wav(images: "Pixels", scale: dict[str, Any]) -> bytes:
    """The sounds of spectrograms, one after another."""
    import numpy as np

    from ganaug.spectrogram import Scale, encode_wav, to_sound

    own = Scale(**scale)
    sounds = np.concatenate([to_sound(image, own) for image in images])
    return encode_wav(sounds, own.sample_rate, synthetic=True)


@app.command()
def translate(
    photo: Annotated[Path, Argument(dir_okay=False, help="A real image.")],
    to: Annotated[str, Option(help="Class to make of it.")],
    out: Annotated[Path, Option(dir_okay=False, help="PNG to write.")],
    num: Annotated[int, Option(min=1, max=32, help="Images to make.")] = 8,
    seed: Annotated[int, Option(min=0, help="Seed of the first; the next follow.")] = 0,
    snapshot: SnapshotFolder = Path("models/generator"),
) -> None:
    """Make images of a class from a photo: above it and they, below in white what is new."""
    import numpy as np

    from ganaug.gan.snapshot import load_snapshot
    from ganaug.gan.translator import Translator, translate_image
    from ganaug.images import encode_png, tile
    from ganaug.preparing.decode import Form, decode_image
    from ganaug.sources.base import UnusableImage

    model = load_snapshot(snapshot)
    if not isinstance(model.generator, Translator):
        raise GanaugError(
            f"{snapshot}: family {model.architecture.family} starts from noise, not from an image; "
            "set train.family to translator and run the stage train"
        )
    if model.sound is not None:
        raise GanaugError(
            f"{snapshot} makes sound, and a photo is none; draw some by ganaug sample"
        )
    require_known("--to", to, model.classes)
    form = Form(model.architecture.resolution, model.architecture.channels, MOST_PIXELS)
    try:
        real = decode_image(photo, form)
    except UnusableImage as error:
        raise GanaugError(f"{photo}: {error.detail}; give an image file") from None
    seeds = list(range(seed, seed + num))
    images, masks = translate_image(model.generator, real, model.classes.index(to), seeds)
    rows = np.concatenate([real[None], images, np.zeros_like(real)[None], masks])
    write_bytes(encode_png(tile(rows, columns=num + 1), synthetic=True), out)
    typer.echo(
        f"{num} images of {to} from {photo}, from seed {seed}; below, white is new, black as in "
        f"the photo -> {out}"
    )


@app.command()
def inspect(
    path: Annotated[str, Argument(help="Folder, table, Parquet, tar or zip; or a URL.")],
    group_pattern: GroupPattern = None,
    sheet: Annotated[
        Path | None, Option(dir_okay=False, help="HTML page with contact sheets.")
    ] = None,
    params: ParamsFile = PARAMS,
) -> None:
    """Show what the pipeline would find in images of your own, before anything runs."""
    from ganaug.preparing.survey import as_html, as_text, survey
    from ganaug.sources.recognise import recognise

    p = load_params(params, _own_images(path, recognise(path), group_pattern))
    found = survey(p.prepare, seed=p.seed)
    typer.echo(as_text(found))
    if sheet is not None:
        write_text(as_html(found), sheet)
        typer.echo(f"contact sheet: {sheet}")
    if found.problems:
        raise typer.Exit(2)


@app.command()
def outdated(prepared: PreparedFolder = Path("data/prepared")) -> None:
    """Say whether the files at a URL have changed since `prepare` read them."""
    from ganaug.sources.remote import describe_files, list_files

    known = read_json(prepared / "prepared.json").get("remote")
    if known is None:
        why = "an archive is known by its sha256"
        typer.echo(f"nothing is streamed from a URL ({why}); of local files DVC knows: dvc status")
        return
    url = known["url"]
    found = describe_files(url, list_files(url))
    if found != known:
        numbers = f"{known['num_files']} files then, {found['num_files']} now"
        typer.echo(f"{url} has changed ({numbers}); read it again: dvc repro -f prepare")
        raise typer.Exit(1)
    typer.echo(f"{url} is as it was read: {found['num_files']} files")


@app.command()
def init(
    path: Annotated[str, Option(help="Folder, table, Parquet, tar or zip; or a URL.")],
    source: Annotated[
        str | None, Option(help="prepare.source in params.yaml; found from the files if not given.")
    ] = None,
    name: Annotated[str | None, Option(help="What to call the dataset.")] = None,
    flips: Annotated[str, Option(help="Flips that keep labels: hflip,vflip")] = "",
    group_pattern: GroupPattern = None,
    params: ParamsFile = PARAMS,
) -> None:
    """Write params.yaml for images of your own, so that `make repro` is the next command."""
    from ganaug.preparing.survey import as_text, survey
    from ganaug.sources.recognise import recognise

    slug = re.sub(r"[^a-z0-9]+", "-", (name or Path(path).stem).lower()).strip("-") or "my-images"
    changes = _own_images(path, source or recognise(path), group_pattern) | {
        "prepare.files.name": name or Path(path).stem,
        "prepare.files.flips": [flip for flip in flips.split(",") if flip],
        "merge.name": f"{slug if slug[0].isalpha() else f'd-{slug}'}-augmented",
    }
    p = load_params(params, changes)
    found = survey(p.prepare, seed=p.seed)
    if found.problems:
        raise DatasetError(f"{path}: {'; '.join(found.problems)}")
    changes |= {"prepare.resolution": found.resolution, "prepare.channels": found.channels}
    change_params(params, changes)
    typer.echo(as_text(found))
    typer.echo(f"{params} is set for these images; next: make repro")


def _own_images(path: str, source: str, group_pattern: str | None) -> dict[str, object]:
    """Params of images of your own, by `section.key`."""
    changes: dict[str, object] = {
        "prepare.source": source,
        "prepare.files.path": path,
        "prepare.files.group_pattern": group_pattern,
    }
    of_sound = {"prepare.channels": 1, "prepare.files.flips": []}  # spectrograms
    return changes | (of_sound if source == "audio" else {})


@app.command()
def review(
    out: Annotated[
        Path, Option(dir_okay=False, help="HTML page to write; it needs no network.")
    ] = Path(".ganaug/review.html"),
    serve: Annotated[
        bool, Option("--serve", help="Serve the page to this machine; it saves by itself.")
    ] = False,
    port: Annotated[int, Option(min=0, help="Of --serve; 0 for any free one.")] = 8765,
    prepared: PreparedFolder = Path("data/prepared"),
    synthetic: Annotated[Path, Option(help="Accepted images.")] = Path("data/synthetic"),
    reviews: Annotated[Path, Option(help="Table of reviews.")] = Path("data/review.csv"),
) -> None:
    """Look at the accepted images in a browser, and reject or relabel them."""
    from ganaug.curating.reviews import read_reviews
    from ganaug.reviewing.review import read_gallery, render_page
    from ganaug.reviewing.server import ReviewServer

    gallery = read_gallery(prepared, synthetic)
    earlier = read_reviews(reviews, gallery.classes)
    if serve:
        with ReviewServer(gallery, reviews, port=port) as server, suppress(KeyboardInterrupt):
            typer.echo(f"{server.url} saves to {reviews}; end with Ctrl+C, then: make repro")
            server.serve_forever()
        return
    write_text(render_page(gallery, earlier), out)
    typer.echo(f"{len(gallery.image_ids())} images -> {out}")
    typer.echo(f"open it in a browser, put what it saves to {reviews}, then: make repro")


@app.command()
def verify(
    dataset: Annotated[Path, Argument(help="The merged dataset.")] = MERGED,
) -> None:
    """Check every file and row of a dataset against its manifest and the rules."""
    from ganaug.publishing.verify import verify_dataset

    manifest = verify_dataset(dataset)
    num_rows = sum(facts["rows"] for facts in manifest["files"].values())
    typer.echo(f"{dataset}: {len(manifest['files'])} files and {num_rows} rows are as stated")


@app.command()
def export(
    layout: Annotated[str, Option("--format", help="imagefolder | csv | webdataset | audio.")],
    out: Annotated[Path, Option(file_okay=False, help="Folder to write to.")],
    config: Annotated[
        str, Option(help="default (what the verdict recommends) | real | augmented.")
    ] = "default",
    dataset: MergedFolder = MERGED,
) -> None:
    """Write the dataset as class folders, WebDataset tars, images and a table, or sounds."""
    from ganaug.publishing.export import export_dataset

    number = export_dataset(dataset, out, layout=layout, config=config)
    typer.echo(f"{number} images of the config {config} as {layout} -> {out}")


@app.command()
def release(
    bump: Annotated[
        str,
        Option(help="patch: same rows | minor: rows added | major: rows changed or removed"),
    ],
) -> None:
    """Check the dataset and tag this commit as its next version."""
    from ganaug.release import make_release

    tag = make_release(bump, repo=Path())
    typer.echo(f"made the tag {tag}; publish: dvc push && git push origin {tag}")
    typer.echo(f"undo: git tag -d {tag}, and if it was pushed: git push -d origin {tag}")


def main() -> None:
    """Entry point of the console script."""
    run(app)
