"""Merge real and synthetic shards: real ones byte for byte, synthetic ones as the verdict says.

If the verdict does not ship them, synthetic images go to a folder of their own.

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
from ganaug.publishing.wording import HEADLINES, answers
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
    real, made = read_prepared(prepared), read_json(synthetic / "synthetic.json")
    files, offered = _list_shards(real, made)
    require_judged(verdict, generator_id=made["generator_id"], files=files | offered)
    place = _place(verdict, offered, params.on_reject)
    named = {}  # copies of synthetic shards
    if place in TRAVELS:
        named = {name: name_apart(name) if place == KEPT_APART else name for name in offered}
    with atomic_folder(out) as folder:
        targets = {name: folder / name for name in files}
        _copy_shards(prepared, files, targets, real=real, stage="prepare")
        num_made = Counter[str]()
        if named:
            targets = {name: folder / copy for name, copy in named.items()}
            _copy_shards(synthetic, offered, targets, real=real, stage="generate")
            for name, copy in targets.items():
                num_made += _count_synthetic(
                    copy, made["generator_id"], real.classes, where=str(synthetic / name)
                )
        manifest = {
            "name": params.name,
            "published": params.published,
            "schema_version": SCHEMA_VERSION,
            **_describe_real(real),
            **_describe_synthetic(verdict, made, place),
            "counts": _count(real, num_made),
            "files": files | {copy: offered[name] for name, copy in named.items()},
        }
        side = real.spectrogram_side
        policy = ClassicalAugmentation(real.symmetries, classical, seed=0, spectrogram_side=side)
        _write_documents(folder, manifest, verdict=verdict, made=made, policy=policy)
    return manifest


def _list_shards(real: Prepared, made: Mapping[str, Any]) -> tuple[Files, Files]:
    """What the manifest says of the real shards, and of the synthetic ones that are offered."""
    files = {
        path.name: {**real.files[path.name], "split": split, "source": "real"}
        for split in SPLITS
        for path in real.shards(split)
    }
    offered = {
        name: {**facts, "split": "train", "source": "synthetic"}
        for name, facts in sorted(made["files"].items())
    }
    return files, offered


def _count(real: Prepared, num_made: Mapping[str, int]) -> dict[str, dict[str, dict[str, int]]]:
    """Images by split, class and source."""
    return {
        split: {
            name: {"real": number, "synthetic": num_made[name] if split == "train" else 0}
            for name, number in real.counts[split].items()
        }
        for split in SPLITS
    }


def _describe_real(real: Prepared) -> dict[str, Any]:
    """What the manifest says of the real images."""
    return {
        "classes": list(real.classes),
        "image_shape": [real.resolution, real.resolution, real.channels],
        "real_images": real.source,
        **({"sound": real.sound} if real.sound else {}),
    }


def _describe_synthetic(
    verdict: Mapping[str, Any], made: Mapping[str, Any], place: str
) -> dict[str, Any]:
    """What the manifest says of the synthetic images: each is f(generator, latent, class, seed)."""
    travels = place in TRAVELS
    return {
        "generator_id": made["generator_id"] if travels else None,
        "latent": {"std": made["latent_std"], "truncation": made["truncation"]}
        if travels
        else None,
        "decision": verdict["decision"],
        "synthetic": place,
        "configs": {
            "default": list(SOURCES) if place == SHIPPED else ["real"],
            "real": ["real"],
            **({"augmented": list(SOURCES)} if travels else {}),
        },
        "recipes": _recipes(verdict, place),
        **({"review": made["review"]} if travels and "review" in made else {}),
    }


def _write_documents(
    folder: Path,
    manifest: dict[str, Any],
    *,
    verdict: Mapping[str, Any],
    made: Mapping[str, Any],
    policy: ClassicalAugmentation,
) -> None:
    """Write the files beside the shards; the manifest last, with the hashes of the others."""
    write_text(render_card(manifest, verdict=verdict, made=made), folder / CARD)
    write_json(describe_dataset(manifest), folder / CROISSANT)
    write_json(policy.to_dict(), folder / CLASSICAL)
    documents = (CARD, CROISSANT, CLASSICAL)
    manifest["documents"] = {file: sha256_file(folder / file) for file in documents}
    write_sealed(manifest, folder / MANIFEST)


def _place(verdict: Mapping[str, Any], offered: Files, on_reject: str) -> str:
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
    if not offered:
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
    if found != (expected := (real.resolution, real.resolution, real.channels)):
        raise DatasetError(f"{where}: images are {found}, those of prepare {expected} (H, W, C)")


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
        answers=answers(verdict),
        headline=HEADLINES[verdict["decision"]],
        verdict=verdict,
    ).rstrip()
