"""models/generator -> data/synthetic: draw synthetic images, score them, keep the good ones.

Params: seed, generate, evaluate.classical. Writes: train-synthetic-*.parquet, synthetic.json (what
was wanted, drawn, accepted and rejected for which reason, the scores asked for, what
people did in a review), metrics.json.
"""

from pathlib import Path
from typing import Annotated

import typer

from ganaug.budget import measured
from ganaug.config import Params, load_params
from ganaug.curating.curate import Rules, curate, tally_dict, write_synthetic
from ganaug.curating.filter import SyntheticFilter, fit_thresholds, repeat_distances
from ganaug.curating.neighbours import RealImages
from ganaug.curating.reviews import describe_review, read_reviews, rejected_ids
from ganaug.curating.targets import synthetic_targets
from ganaug.errors import SnapshotError, run
from ganaug.fileio import write_json
from ganaug.gan.sampling import LatentLaw
from ganaug.gan.snapshot import load_snapshot
from ganaug.preparing.prepared import Prepared, read_prepared
from ganaug.shards import read_labelled

HOW = ("strategy", "amount", "latent_std", "truncation")  # params that travel with the images

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def main(
    *,
    prepared: Annotated[Path, typer.Option(file_okay=False, help="Prepared dataset.")],
    snapshot: Annotated[Path, typer.Option(file_okay=False, help="Generator snapshot.")],
    review: Annotated[Path, typer.Option(dir_okay=False, help="What people rejected, CSV.")],
    out: Annotated[Path, typer.Option(file_okay=False, help="Output folder, replaced.")],
    results: Annotated[Path, typer.Option(file_okay=False, help="Metrics.")],
    params: Annotated[Path, typer.Option(dir_okay=False)] = Path("params.yaml"),
) -> None:
    """Generate, score, and accept or reject synthetic images."""
    p = load_params(params)
    dataset, model = read_prepared(prepared), load_snapshot(snapshot)
    if model.classes != dataset.classes:
        raise SnapshotError(
            f"{snapshot}: made for classes {model.classes}, {prepared} has {dataset.classes}; "
            "run the stage train"
        )
    reviews = read_reviews(review, dataset.classes)
    with measured("generate", results / "budget.json"):
        judge, real, rules = _learn(dataset, p)
        curated = curate(
            model,
            judge,
            real,
            wanted=synthetic_targets(
                dataset.counts["train"], strategy=p.generate.strategy, amount=p.generate.amount
            ),
            first_seed=p.seed * 10**6,
            rules=rules,
            max_draws_per_image=p.generate.max_draws_per_image,
            unwanted=rejected_ids(reviews),
        )
        tallies = tally_dict(curated.tallies) | {"least": rules.least}
        how = {name: getattr(p.generate, name) for name in HOW}
        said = describe_review(
            reviews,
            left_out=curated.left_out,
            accepted=curated.rows["image_id"],
            generator_id=model.generator_id,
        )
        facts = {"generator_id": model.generator_id, **how, **tallies, **said}
        write_synthetic(curated, facts, folder=out, class_names=dataset.classes)
        write_json(tallies, results / "metrics.json")
    accepted, drawn = (sum(tallies[what].values()) for what in ("accepted", "drawn"))
    typer.echo(f"generate: {accepted} of {drawn} drawn images accepted -> {out}")


def _learn(dataset: Prepared, p: Params) -> tuple[SyntheticFilter, RealImages, Rules]:
    """What tells good images from bad: from train a judge, the images in the order that it knows,
    and how near they come to each other; from val the scores to ask for.
    """
    rows, images, labels = read_labelled(dataset.shards("train"))
    groups = rows["group_id"].tolist()
    num_classes = len(dataset.classes)
    distances = repeat_distances(images, labels, groups, num_classes=num_classes)
    judge = SyntheticFilter(
        images,
        labels,
        groups,
        class_names=dataset.classes,
        symmetries=dataset.symmetries,
        classical=p.evaluate.classical,
        spectrogram_side=dataset.spectrogram_side,
        seed=p.seed,
        num_steps=p.generate.filter_steps,
    )
    real = RealImages(rows["image_id"].tolist(), labels, images)
    _, images, labels = read_labelled(dataset.shards("val"))
    thresholds = fit_thresholds(
        judge.score(images, labels),
        labels,
        num_classes=num_classes,
        acceptance=p.generate.real_acceptance,
    )
    rules = Rules(
        law=LatentLaw(p.generate.latent_std, p.generate.truncation),
        least=dict(zip(dataset.classes, thresholds, strict=True)),
        min_distance=dict(zip(dataset.classes, distances, strict=True)),
    )
    return judge, real, rules


if __name__ == "__main__":
    run(app)
