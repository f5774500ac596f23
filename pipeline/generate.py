"""models/generator -> data/synthetic: draw synthetic images, score them, keep the good ones.

Params: seed, generate, evaluate.classical. Writes: train-synthetic-*.parquet, synthetic.json (what
was wanted, drawn, accepted and rejected for which reason; `min_scores`: what was
asked for; what people did in a review), metrics.json.
"""

from pathlib import Path
from typing import Annotated

import typer

from ganaug.budget import measured
from ganaug.config import Params, load_params
from ganaug.curating.comparing import RealImages, repeat_distances
from ganaug.curating.curate import Rules, curate, tally_dict, write_synthetic
from ganaug.curating.filter import BATCH_SIZE, LR, SyntheticFilter, fit_thresholds
from ganaug.curating.reviews import describe_review, read_reviews, rejected_ids
from ganaug.curating.targets import synthetic_targets
from ganaug.downstream.setting import Setting
from ganaug.errors import SnapshotError, run
from ganaug.fileio import scratch, write_json
from ganaug.gan.sampling import LatentLaw
from ganaug.gan.snapshot import load_snapshot
from ganaug.parallel import MapTasks, one_thread, workers
from ganaug.preparing.prepared import Prepared, read_prepared
from ganaug.quality.parts import choose_rows
from ganaug.shards import read_labelled

HOW = {"strategy", "amount", "latent_std", "truncation"}  # params that travel with the images

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
    with (
        measured("generate", results / "budget.json"),
        scratch() as folder,
        workers(p.backend) as map_tasks,
        one_thread(),  # as in the workers, so that nothing depends on the number of cores
    ):
        rules = _learn_rules(dataset, p, folder, map_tasks)
        curated = curate(
            model,
            rules,
            wanted=synthetic_targets(
                dataset.counts["train"], strategy=p.generate.strategy, amount=p.generate.amount
            ),
            first_seed=p.seed * 10**6,
            max_draws_per_image=p.generate.max_draws_per_image,
            pngs=folder / "synthetic.png",
            unwanted=rejected_ids(reviews),
            map_tasks=map_tasks,
        )
        tallies = tally_dict(curated.tallies) | {"min_scores": rules.min_scores}
        review_facts = describe_review(
            reviews,
            left_out=curated.rejected_by_person,
            accepted=curated.rows["image_id"],
            generator_id=model.generator_id,
        )
        how = p.generate.model_dump(include=HOW)
        facts = {"generator_id": model.generator_id, **how, **tallies, **review_facts}
        write_synthetic(curated, facts, folder=out, class_names=dataset.classes)
        write_json(tallies, results / "metrics.json")
    accepted, drawn = (sum(tallies[what].values()) for what in ("accepted", "drawn"))
    typer.echo(f"generate: {accepted} of {drawn} drawn images accepted -> {out}")


def _learn_rules(dataset: Prepared, p: Params, folder: Path, map_tasks: MapTasks) -> Rules:
    """Learn from train what real images look like, and from val which scores to ask for.

    The images are decoded into files in `folder`.
    """
    setting = Setting(
        num_steps=p.generate.filter_steps,
        batch_size=BATCH_SIZE,
        lr=LR,
        class_names=dataset.classes,
        symmetries=dataset.symmetries,
        classical=p.evaluate.classical,
        seed=p.seed,
        spectrogram_side=dataset.spectrogram_side,
    )
    rows, images, labels = read_labelled(dataset.shards("train"), spill=folder / "train.npy")
    groups, names = rows["group_id"].tolist(), dataset.classes
    judge = SyntheticFilter(images, labels, groups, setting, map_tasks=map_tasks)
    val_rows, val_images, val_labels = read_labelled(
        dataset.shards("val"), spill=folder / "val.npy"
    )
    asked = choose_rows(val_rows)
    val_images, val_labels = val_images[asked], val_labels[asked]
    val_scores = judge.score(val_images, val_labels)
    share = p.generate.real_acceptance
    return Rules(
        law=LatentLaw(p.generate.latent_std, p.generate.truncation),
        judge=judge,
        real=RealImages(rows["image_id"].tolist(), labels, images),
        min_scores=fit_thresholds(val_scores, val_labels, class_names=names, acceptance=share),
        min_distance=repeat_distances(images, labels, groups, class_names=names),
    )


if __name__ == "__main__":
    run(app)
