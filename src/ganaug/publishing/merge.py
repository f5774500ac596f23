"""The dataset that leaves: real shards byte for byte, synthetic ones if the verdict says so.

DVC stores whole files once, so a shard that is copied unchanged costs nothing: a new generator
version stores and pushes synthetic shards only. Memory does not grow with the number of rows, and
only synthetic rows are looked at one by one: `prepare` has checked the real ones, and their hash
says that nothing has changed since.
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

from ganaug.config import ClassicalParams
from ganaug.errors import DatasetError, GanaugError
from ganaug.evaluation.classical import ClassicalAugmentation
from ganaug.fileio import atomic_folder, read_json, sha256_file, write_json, write_text
from ganaug.preparing.prepared import REJECTED, Prepared, read_prepared
from ganaug.publishing.card import render_card
from ganaug.publishing.croissant import CROISSANT, describe_dataset
from ganaug.publishing.manifest import CARD, CLASSICAL, MANIFEST
from ganaug.publishing.wording import points, uplift_rows
from ganaug.records import (
    METADATA_COLUMNS,
    SOURCES,
    SPLITS,
    arrow_schema,
    check_rows,
    class_names_of,
)
from ganaug.shards import iter_images

SCHEMA_VERSION = 2  # of the manifest and of the columns in the shards
ORIGIN = ("generator_id", "latent", "ratio")  # of the synthetic images, None without them
ROWS_AT_A_TIME = 65536  # metadata rows in memory, about 20 MB

Files = dict[str, dict[str, Any]]  # entries of the manifest by file name


def merge_dataset(
    *,
    prepared: Path,
    synthetic: Path,
    verdict: Mapping[str, Any],
    out: Path,
    name: str,
    on_reject: str,
    classical: ClassicalParams,
) -> dict[str, Any]:
    """Write the augmented dataset, or the real images alone when the verdict is no.

    Beside the shards and the manifest lie the card, croissant.json, and the policy of classical
    augmentation that the verdict compared with.

    Args:
        prepared: folder of `prepare`: real shards and prepared.json.
        synthetic: folder of `generate`: shards, perhaps none, and synthetic.json.
        verdict: content of verdict.json.
        out: folder that is replaced as a whole; untouched when anything fails.
        name: of the dataset.
        on_reject: "real_only" ships the real images unchanged, "fail" stops.
        classical: section `evaluate.classical`, as the verdict had it.
    Returns:
        The content of manifest.json.
    Raises:
        GanaugError: the verdict is no and `on_reject` is "fail".
        DatasetError: a shard is missing, was changed after its stage wrote it, or breaks a rule.
    """
    ships = _ships_synthetic(verdict, on_reject)
    real, made = read_prepared(prepared), read_json(synthetic / "synthetic.json")
    with atomic_folder(out) as folder:
        files = _list_real(real)
        _copy_shards(prepared, files, folder, real=real, stage="prepare")
        added = _list_synthetic(made) if ships else {}
        num_made = Counter[int]()
        if ships:
            _copy_shards(synthetic, added, folder, real=real, stage="generate")
        for file in added:
            num_made += _count_synthetic(
                folder / file, made["generator_id"], real.classes, where=f"{synthetic / file}"
            )
        manifest = {
            "name": name,
            "schema_version": SCHEMA_VERSION,
            "classes": list(real.classes),
            "image_shape": [real.resolution, real.resolution, real.channels],
            "real_images": real.source,
            **(_origin(made, verdict) if ships else dict.fromkeys(ORIGIN)),
            "decision": verdict["decision"],
            "counts": _by_split(real, num_made),
            "files": files | added,
        }
        policy = ClassicalAugmentation(real.symmetries, classical, seed=0)
        _write_documents(folder, manifest, verdict=verdict, made=made, policy=policy)
    return manifest


def _list_real(real: Prepared) -> Files:
    return {
        path.name: {**real.files[path.name], "split": split, "source": "real"}
        for split in SPLITS
        for path in real.shards(split)
    }


def _list_synthetic(made: Mapping[str, Any]) -> Files:
    return {
        name: {**facts, "split": "train", "source": "synthetic"}
        for name, facts in sorted(made["files"].items())
    }


def _origin(made: Mapping[str, Any], verdict: Mapping[str, Any]) -> dict[str, Any]:
    """Image = f(generator, law of the latent, class, seed); and how many to use."""
    return {
        "generator_id": made["generator_id"],
        "latent": {"std": made["latent_std"], "truncation": made["truncation"]},
        # Synthetic images per real one in a batch, as the verdict measured them.
        "ratio": verdict["ratio"]["measured"],
    }


def _write_documents(
    folder: Path,
    manifest: dict[str, Any],
    *,
    verdict: Mapping[str, Any],
    made: Mapping[str, Any],
    policy: ClassicalAugmentation,
) -> None:
    """What lies beside the shards; the manifest comes last and takes the others' hashes."""
    write_text(render_card(manifest, verdict=verdict, made=made), folder / CARD)
    write_json(describe_dataset(manifest), folder / CROISSANT)
    write_json(policy.to_dict(), folder / CLASSICAL)
    manifest["documents"] = {
        file: sha256_file(folder / file) for file in (CARD, CROISSANT, CLASSICAL)
    }
    write_json(manifest, folder / MANIFEST)


def _ships_synthetic(verdict: Mapping[str, Any], on_reject: str) -> bool:
    """Whether synthetic shards go out; stops when they don't and the params want that to fail."""
    decision = verdict["decision"]
    if decision not in ("ship", "ship_real_only"):
        raise DatasetError(
            f"verdict: decision is {decision!r}, expected 'ship' or 'ship_real_only'; "
            "rerun the stage evaluate"
        )
    if decision == "ship_real_only" and on_reject == "fail":
        raise GanaugError(
            f"the verdict is no: {verdict['sentence']} Nothing was written. Set merge.on_reject "
            "to real_only to ship the real images unchanged"
        )
    return bool(decision == "ship")


def _copy_shards(source: Path, files: Files, folder: Path, *, real: Prepared, stage: str) -> None:
    """Copy what a stage wrote: all that it listed and no more, unchanged, and fit for `real`."""
    found = {path.name for path in source.glob("*.parquet")} - {REJECTED}
    if found != set(files):
        names = ", ".join(sorted(found ^ set(files)))
        raise DatasetError(
            f"{source}: shards and their list disagree on {names}; rerun the stage {stage}"
        )
    for name, facts in files.items():
        _copy(source / name, folder / name, sha256=facts["sha256"], stage=stage)
        _check_columns(folder / name, where=source / name, real=real)


def _copy(path: Path, target: Path, *, sha256: str, stage: str) -> None:
    """Copy a file, never link it (DVC makes links read-only), and check the copy's hash."""
    try:
        shutil.copyfile(path, target)
        with target.open("rb") as copied:
            os.fsync(copied.fileno())
    except OSError as error:
        where = target.parent.parent
        raise DatasetError(f"{path}: can't be copied to {where} ({error})") from None
    if sha256_file(target) != sha256:
        raise DatasetError(
            f"{path}: changed after the stage {stage} wrote it (its sha256 differs from the one "
            f"listed); run `dvc checkout {path.parent}` or rerun the stage {stage}"
        )


def _check_columns(path: Path, *, where: Path, real: Prepared) -> None:
    """Check columns, class names and image shape of a shard, by its footer and its first row."""
    try:
        schema = pq.read_schema(path)
        found = next(iter_images([path])).shape
    except (pa.ArrowException, StopIteration) as error:
        raise DatasetError(f"{where}: not a readable shard with rows ({error})") from None
    if (names := class_names_of(schema)) != real.classes:
        raise DatasetError(f"{where}: class names {names}, those of prepare {real.classes}")
    if not schema.equals(arrow_schema(real.classes)):
        raise DatasetError(f"{where}: columns differ from this version's; rerun its stage")
    if found != (expected := (real.resolution, real.resolution, real.channels)):
        raise DatasetError(f"{where}: images are {found}, those of prepare {expected} (H, W, C)")


def _count_synthetic(
    path: Path, generator_id: str, classes: tuple[str, ...], *, where: str
) -> Counter[int]:
    """Images by label, all of them synthetic and by this generator."""
    counts = Counter[int]()
    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(ROWS_AT_A_TIME, columns=METADATA_COLUMNS):
            rows = check_rows(batch.to_pandas(), classes, where=where)
            if not (rows["source"] == "synthetic").all():
                raise DatasetError(f"{where}: holds rows that are not synthetic")
            if not (rows["generator_id"] == generator_id).all():
                raise DatasetError(
                    f"{where}: rows of another generator than synthetic.json's {generator_id}; "
                    "rerun the stage generate"
                )
            counts.update(rows["label"])
    return counts


def _by_split(real: Prepared, synthetic: Counter[int]) -> dict[str, Any]:
    """{split: {class: {source: images}}}, every split, class and source named."""
    return {
        split: {
            name: {
                "real": real.counts[split][name],
                "synthetic": synthetic[label] if split == "train" else 0,
            }
            for label, name in enumerate(real.classes)
        }
        for split in SPLITS
    }


def merge_metrics(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """What `dvc metrics` compares: the decision, and images per source and per class of train."""
    by_class = [counts for split in manifest["counts"].values() for counts in split.values()]
    return {
        "decision": manifest["decision"],
        **{f"num_{source}": sum(counts[source] for counts in by_class) for source in SOURCES},
        "train": manifest["counts"]["train"],
    }


def merge_summary(manifest: Mapping[str, Any], verdict: Mapping[str, Any]) -> str:
    """Images per class of train, and what the verdict says, as a few lines for a terminal."""
    lines = [pd.DataFrame(manifest["counts"]["train"]).T.to_string()]
    for row in uplift_rows(verdict):
        interval = f"[{points(row['low_pp'])}, {points(row['high_pp'])}]"
        lines.append(f"{row['arms']}: {points(row['mean_pp'])} pp {interval}, {row['words']}")
    return "\n".join([*lines, f"{verdict['decision']}: {verdict['sentence']}"])
