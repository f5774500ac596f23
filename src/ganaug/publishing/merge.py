"""Merge real and synthetic shards: real ones byte for byte, synthetic ones as the verdict says.

If the verdict does not ship them, they go to a folder of their own, are left out or stop the stage,
as `merge.on_reject` says; copies never travel.

DVC stores equal files once, so a copied shard costs nothing: a new generator stores and pushes
synthetic shards only. Memory does not grow with the number of rows. Only synthetic rows are checked
one by one: `prepare` checked the real ones, and their hash shows that nothing has changed.
"""

import os
import shutil
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from ganaug.config import ClassicalParams, MergeParams
from ganaug.downstream.classical import ClassicalAugmentation
from ganaug.errors import DatasetError, GanaugError, explained
from ganaug.fileio import (
    atomic_folder,
    read_json,
    sha256_file,
    write_json,
    write_sealed,
    write_text,
)
from ganaug.images import is_marked_synthetic
from ganaug.preparing.prepared import REJECTED, Prepared, read_prepared
from ganaug.publishing.card import render_card
from ganaug.publishing.croissant import CROISSANT, describe_dataset
from ganaug.publishing.judged import name_apart, require_judged
from ganaug.publishing.manifest import APART, CARD, CLASSICAL, MANIFEST
from ganaug.publishing.wording import HEADLINES, without_article
from ganaug.records import SOURCES, SPLITS, arrow_schema, check_rows, class_names_of
from ganaug.shards import iter_images, iter_rows, read_rows
from ganaug.templates import render

SCHEMA_VERSION = 4  # of the manifest and of the columns in the shards
# Where the synthetic images are.
SHIPPED, KEPT_APART, LEFT_OUT = "shipped", "kept apart", "left out"
REFUSED, NONE = "refused: copies", "none"
TRAVELS = (SHIPPED, KEPT_APART)  # in the dataset

Files = dict[str, dict[str, Any]]  # entries of the manifest by file name


def merge_dataset(
    *,
    prepared: Path,
    synthetic: Path,
    verdict: Mapping[str, Any],
    out: Path,
    params: MergeParams,
    classical: ClassicalParams,
) -> dict[str, Any]:
    """Write the augmented dataset; its config `default` is what the verdict recommends.

    Also writes the card, croissant.json, and the policy of classical augmentation that the verdict
    compared with.

    Args:
        prepared: folder of `prepare`.
        synthetic: folder of `generate`, perhaps without shards.
        verdict: content of verdict.json.
        out: folder to replace as a whole; unchanged on failure.
        params: section `merge`.
        classical: section `evaluate.classical`, as the verdict had it.
    Returns:
        The content of manifest.json.
    Raises:
        GanaugError: the verdict does not ship and `on_reject` is "fail".
        DatasetError: the verdict judged other images, or a shard is missing, changed or breaks a
            rule.
    """
    real, generation = read_prepared(prepared), read_json(synthetic / "synthetic.json")
    generator_id = generation["generator_id"]
    real_shards, synthetic_shards = _list_shards(real, generation)
    require_judged(verdict, generator_id=generator_id, files=real_shards | synthetic_shards)
    place = _place(verdict, synthetic_shards, params.on_reject)
    travelling = synthetic_shards if place in TRAVELS else {}
    copies = {name: name_apart(name) if place == KEPT_APART else name for name in travelling}
    with atomic_folder(out) as folder:
        targets = {name: folder / name for name in real_shards}
        _copy_shards(prepared, real_shards, targets, real=real, stage="prepare")
        targets = {name: folder / copy for name, copy in copies.items()}
        if targets:
            _copy_shards(synthetic, synthetic_shards, targets, real=real, stage="generate")
        num_synthetic = Counter[str]()
        for name, target in targets.items():
            where = str(synthetic / name)
            num_synthetic += _count_synthetic(target, generator_id, real.classes, where=where)
        manifest = {
            "name": params.name,
            "published": params.published,
            "schema_version": SCHEMA_VERSION,
            **_describe_images(real, generation, verdict, place),
            "counts": _count(real, num_synthetic),
            "files": real_shards | {copy: synthetic_shards[name] for name, copy in copies.items()},
        }
        side = real.spectrogram_side
        policy = ClassicalAugmentation(real.symmetries, classical, seed=0, spectrogram_side=side)
        _write_documents(folder, manifest, verdict, generation, policy)
    return manifest


def _list_shards(real: Prepared, generation: Mapping[str, Any]) -> tuple[Files, Files]:
    """What the manifest says of the real shards, and would say of the synthetic ones."""
    real_shards = {
        path.name: {**real.files[path.name], "split": split, "source": "real"}
        for split in SPLITS
        for path in real.shards(split)
    }
    synthetic_shards = {
        name: {**facts, "split": "train", "source": "synthetic"}
        for name, facts in sorted(generation["files"].items())
    }
    return real_shards, synthetic_shards


def _count(real: Prepared, num_synthetic: Mapping[str, int]) -> dict[str, Any]:
    """Images by split, class and source."""
    return {
        split: {
            name: {"real": number, "synthetic": num_synthetic[name] if split == "train" else 0}
            for name, number in real.counts[split].items()
        }
        for split in SPLITS
    }


def _describe_images(
    real: Prepared, generation: Mapping[str, Any], verdict: Mapping[str, Any], place: str
) -> dict[str, Any]:
    """What the manifest says of the real images, and of the synthetic ones: each of these is
    f(generator, latent, class, seed).
    """
    travels = place in TRAVELS
    latent = {"std": generation["latent_std"], "truncation": generation["truncation"]}
    return {
        "classes": list(real.classes),
        "image_shape": list(real.image_shape),
        "real_images": real.source,
        **({"sound": real.sound} if real.sound else {}),
        "generator_id": generation["generator_id"] if travels else None,
        "latent": latent if travels else None,
        "decision": verdict["decision"],
        "synthetic": place,
        "configs": {
            "default": list(SOURCES) if place == SHIPPED else ["real"],
            "real": ["real"],
            **({"augmented": list(SOURCES)} if travels else {}),
        },
        "recipes": _recipes(verdict, place),
        **({"review": generation["review"]} if travels and "review" in generation else {}),
    }


def _write_documents(
    folder: Path,
    manifest: dict[str, Any],
    verdict: Mapping[str, Any],
    generation: Mapping[str, Any],
    policy: ClassicalAugmentation,
) -> None:
    """Write the files beside the shards; the manifest last, with the hashes of the others."""
    write_text(render_card(manifest, verdict=verdict, generation=generation), folder / CARD)
    write_json(describe_dataset(manifest), folder / CROISSANT)
    write_json(policy.to_dict(), folder / CLASSICAL)
    documents = (CARD, CROISSANT, CLASSICAL)
    manifest["documents"] = {file: sha256_file(folder / file) for file in documents}
    write_sealed(manifest, folder / MANIFEST)


def _place(verdict: Mapping[str, Any], synthetic_shards: Files, on_reject: str) -> str:
    """Where the synthetic images go.

    Raises:
        DatasetError: the decision is unknown.
        GanaugError: the verdict does not ship them, and `on_reject` is "fail".
    """
    decision = verdict["decision"]
    if decision not in HEADLINES:
        expected = ", ".join(HEADLINES)
        raise DatasetError(
            f"verdict: decision is {decision!r}, expected one of {expected}; run the stage evaluate"
        )
    if decision != "ship" and on_reject == "fail":
        raise GanaugError(
            f"the verdict does not ship: {verdict['sentence']} Nothing was written. Set "
            "merge.on_reject to keep_apart to ship the real images, the synthetic ones beside them"
        )
    if not synthetic_shards:
        return NONE
    if verdict["memorisation"].get("passed") is not True:
        return REFUSED
    if decision == "ship":
        return SHIPPED
    return KEPT_APART if on_reject == "keep_apart" else LEFT_OUT


def _recipes(verdict: Mapping[str, Any], place: str) -> dict[str, Any]:
    """{network: {config: its best recipe}}, and the network in words."""
    recipes = {}
    for network, facts in verdict["networks"].items():
        best = {"real": facts["without"]}
        if place in TRAVELS:
            best["augmented"] = facts["with"] or facts["without"]
        recommended = place == SHIPPED and facts["chosen_share"] > 0
        default = best["augmented" if recommended else "real"]
        recipes[network] = {"words": facts["words"], "default": default, **best}
    return recipes


def _copy_shards(
    source: Path, files: Files, targets: Mapping[str, Path], *, real: Prepared, stage: str
) -> None:
    """Copy the shards of a stage; check that they are those it listed, unchanged, and fit `real`.

    Args:
        source: folder of the stage.
        files: what it listed.
        targets: paths of the copies, by shard.
        real: the dataset whose classes and image shape a shard must have.
        stage: name of the stage, for errors.
    """
    found = {path.name for path in source.glob("*.parquet")} - {REJECTED}
    if found != set(files):
        disagree = ", ".join(sorted(found ^ set(files)))
        raise DatasetError(
            f"{source}: shards and their list disagree on {disagree}; rerun the stage {stage}"
        )
    for name, facts in files.items():
        targets[name].parent.mkdir(exist_ok=True)
        _copy(source / name, targets[name], sha256=facts["sha256"], stage=stage)
        _check_columns(targets[name], where=source / name, real=real)


def _copy(path: Path, target: Path, *, sha256: str, stage: str) -> None:
    """Copy a file, never link it (DVC makes links read-only), and check the copy's hash."""
    with explained(DatasetError, f"{path}: can't be copied to {target}", OSError):
        shutil.copyfile(path, target)
        with target.open("rb") as copied:
            os.fsync(copied.fileno())
    if sha256_file(target) != sha256:
        raise DatasetError(
            f"{path}: changed after the stage {stage} wrote it (its sha256 differs from the one "
            f"listed); run `dvc checkout {path.parent}` or rerun the stage {stage}"
        )


def _check_columns(path: Path, *, where: Path, real: Prepared) -> None:
    """Check columns, class names and image shape of a shard, by its footer and its first row."""
    broken = (pa.ArrowException, StopIteration)
    with explained(DatasetError, f"{where}: not a readable shard with rows", *broken):
        schema = pq.read_schema(path)
        found = next(iter_images([path])).shape
    if (names := class_names_of(schema)) != real.classes:
        raise DatasetError(f"{where}: class names {names}, those of prepare {real.classes}")
    if not schema.equals(arrow_schema(real.classes)):
        raise DatasetError(f"{where}: columns differ from this version's; rerun its stage")
    if found != real.image_shape:
        raise DatasetError(
            f"{where}: images are {found}, those of prepare {real.image_shape} (H, W, C)"
        )


def _count_synthetic(
    path: Path, generator_id: str, classes: tuple[str, ...], *, where: str
) -> Counter[str]:
    """Images by class, all of them synthetic, by this generator, and marked so in their files."""
    rows = check_rows(read_rows([path])[0], classes, where=where)
    if not (rows["source"] == "synthetic").all():
        raise DatasetError(f"{where}: holds rows that are not synthetic")
    if not (rows["generator_id"] == generator_id).all():
        raise DatasetError(
            f"{where}: rows of another generator than synthetic.json's {generator_id}; "
            "rerun the stage generate"
        )
    for row, png in iter_rows(path, columns=["image_id"]):
        if not is_marked_synthetic(png):
            raise DatasetError(
                f"{where}: image {row['image_id']} is not marked as synthetic inside the file; "
                "rerun the stage generate"
            )
    return Counter(classes[label] for label in rows["label"])


def merge_metrics(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """Metrics for `dvc metrics`: the decision, and images by source and by class of train."""
    by_class = [counts for split in manifest["counts"].values() for counts in split.values()]
    return {
        "decision": manifest["decision"],
        "synthetic": manifest.get("synthetic"),
        **{f"num_{source}": sum(counts[source] for counts in by_class) for source in SOURCES},
        "train": manifest["counts"]["train"],
    }


def merge_summary(manifest: Mapping[str, Any], verdict: Mapping[str, Any]) -> str:
    """A few lines for a terminal: images per class of train, and the verdict."""
    return render(
        Path(__file__).with_name("summary.txt.jinja"),
        counts=pd.DataFrame(manifest["counts"]["train"]).T.to_string(),
        synthetic=manifest["synthetic"],
        apart=APART,
        without_article=without_article,
        headline=HEADLINES[verdict["decision"]],
        verdict=verdict,
    ).rstrip()
