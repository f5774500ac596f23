"""The dataset that leaves: real shards byte for byte, synthetic ones if the verdict says so.

DVC stores whole files once, so a shard that is copied unchanged costs nothing: a new generator
version stores and pushes synthetic shards only. Memory does not grow with the number of rows.
"""

import os
import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from ganaug.errors import DatasetError, GanaugError
from ganaug.fileio import atomic_folder, read_json, sha256_file, write_json, write_text
from ganaug.preparing.prepared import REJECTED, Prepared, read_prepared
from ganaug.publishing.card import render_card
from ganaug.publishing.manifest import MANIFEST
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

SCHEMA_VERSION = 1  # of the manifest and of the columns in the shards
ROWS_AT_A_TIME = 65536  # metadata rows in memory, about 20 MB

Counts = Counter[tuple[str, int, str]]  # images by (split, label, source)


def merge_dataset(
    *,
    prepared: Path,
    synthetic: Path,
    verdict: Mapping[str, Any],
    out: Path,
    name: str,
    on_reject: str,
) -> dict[str, Any]:
    """Write the augmented dataset, or the real images alone when the verdict is no.

    Args:
        prepared: folder of `prepare`: real shards and prepared.json.
        synthetic: folder of `generate`: shards, perhaps none, and synthetic.json.
        verdict: content of verdict.json.
        out: folder that is replaced as a whole; untouched when anything fails.
        name: of the dataset.
        on_reject: "real_only" ships the real images unchanged, "fail" stops.
    Returns:
        The content of manifest.json.
    Raises:
        GanaugError: the verdict is no and `on_reject` is "fail".
        DatasetError: a shard is missing, was changed after its stage wrote it, or breaks a rule.
    """
    with_synthetic = _ships_synthetic(verdict, on_reject)
    real, made = read_prepared(prepared), read_json(synthetic / "synthetic.json")
    shape = (real.resolution, real.resolution, real.channels)
    latent = None
    rules: dict[str, Any] = {"classes": tuple(real.classes), "shape": shape}
    with atomic_folder(out) as folder:
        files, counts = _add_shards(prepared, real.files, folder, "real", **rules)
        if with_synthetic:
            rules["generator_id"] = made["generator_id"]
            latent = {"std": made["latent_std"], "truncation": made["truncation"]}
            more = _add_shards(synthetic, made["files"], folder, "synthetic", **rules)
            files, counts = files | more[0], counts + more[1]
        manifest = {
            "name": name,
            "schema_version": SCHEMA_VERSION,
            **_facts(real, generator_id=rules.get("generator_id"), latent=latent),
            "decision": verdict["decision"],
            "counts": _by_split(counts, real.classes),
            "files": files,
        }
        write_json(manifest, folder / MANIFEST)
        write_text(render_card(manifest, verdict=verdict, made=made), folder / "README.md")
    return manifest


def _facts(
    real: Prepared, *, generator_id: str | None, latent: dict[str, Any] | None
) -> dict[str, Any]:
    """What the manifest says about all images."""
    return {
        "classes": list(real.classes),
        "image_shape": [real.resolution, real.resolution, real.channels],
        "real_images": dict(real.source),
        "generator_id": generator_id,
        "latent": latent,  # image = f(generator, this law, class, seed)
    }


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


def _add_shards(
    source_folder: Path,
    listed: Mapping[str, Mapping[str, Any]],
    folder: Path,
    source: str,
    **rules: Any,
) -> tuple[dict[str, dict[str, Any]], Counts]:
    """Copy the listed shards to `folder` and check each copy; manifest entries, images counted."""
    stage = "prepare" if source == "real" else "generate"
    found = {path.name for path in source_folder.glob("*.parquet")} - {REJECTED}
    if found != set(listed):
        names = ", ".join(sorted(found ^ set(listed)))
        raise DatasetError(
            f"{source_folder}: shards and their list disagree on {names}; rerun the stage {stage}"
        )
    entries, totals = {}, Counts()
    for name in sorted(listed):
        path = _copy(source_folder / name, folder, sha256=listed[name]["sha256"], stage=stage)
        counts = _check_shard(path, source=source, where=str(source_folder / name), **rules)
        totals += counts
        entries[name] = {
            "sha256": listed[name]["sha256"],
            "bytes": path.stat().st_size,
            "rows": counts.total(),
            "split": next(split for split, _, _ in counts),
            "source": source,
        }
    return entries, totals


def _copy(path: Path, folder: Path, *, sha256: str, stage: str) -> Path:
    """Copy a file, never link it (DVC makes links read-only), and check the copy's hash."""
    target = folder / path.name
    try:
        shutil.copyfile(path, target)
        with target.open("rb") as copied:
            os.fsync(copied.fileno())
    except OSError as error:
        raise DatasetError(f"{path}: can't be copied to {folder.parent} ({error})") from None
    if sha256_file(target) != sha256:
        raise DatasetError(
            f"{path}: changed after the stage {stage} wrote it (its sha256 differs from the one "
            f"listed); run `dvc checkout {path.parent}` or rerun the stage {stage}"
        )
    return target


def _check_shard(
    path: Path,
    *,
    source: str,
    where: str,
    classes: tuple[str, ...],
    shape: tuple[int, int, int],
    generator_id: str | None = None,
) -> Counts:
    """Check columns, class names, image shape and every row of a shard; count the images."""
    try:
        counts = _count_checked_rows(
            path, source=source, where=where, classes=classes, generator_id=generator_id
        )
        found = next(iter_images([path])).shape
    except (pa.ArrowException, StopIteration) as error:
        raise DatasetError(f"{where}: not a readable shard with rows ({error})") from None
    if found != shape:
        raise DatasetError(f"{where}: images are {found}, those of prepare {shape} (H, W, C)")
    if len({split for split, _, _ in counts}) > 1:
        raise DatasetError(f"{where}: one shard holds several splits")
    return counts


def _count_checked_rows(
    path: Path, *, source: str, where: str, classes: tuple[str, ...], generator_id: str | None
) -> Counts:
    counts = Counts()
    with pq.ParquetFile(path) as file:
        if (found := class_names_of(file.schema_arrow)) != classes:
            raise DatasetError(f"{where}: class names {found}, those of prepare {classes}")
        if not file.schema_arrow.equals(arrow_schema(classes)):
            raise DatasetError(f"{where}: columns differ from this version's; rerun its stage")
        for batch in file.iter_batches(ROWS_AT_A_TIME, columns=METADATA_COLUMNS):
            rows = check_rows(batch.to_pandas(), classes, where=where)
            if not (rows["source"] == source).all():
                raise DatasetError(f"{where}: holds rows that are not {source}")
            if not (rows["generator_id"].dropna() == generator_id).all():
                raise DatasetError(
                    f"{where}: rows of another generator than synthetic.json's {generator_id}; "
                    "rerun the stage generate"
                )
            counts.update(zip(rows["split"], rows["label"], rows["source"], strict=True))
    return counts


def _by_split(counts: Counts, classes: Sequence[str]) -> dict[str, Any]:
    """{split: {class: {source: images}}}, every split, class and source named."""
    return {
        split: {
            name: {source: counts[split, label, source] for source in SOURCES}
            for label, name in enumerate(classes)
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
    width = max(len(name) for name in ("class", *manifest["classes"]))
    lines = [f"{'class':{width}}  {'real':>8}  {'synthetic':>9}"]
    for name, counts in manifest["counts"]["train"].items():
        lines.append(f"{name:{width}}  {counts['real']:8d}  {counts['synthetic']:9d}")
    for row in uplift_rows(verdict):
        interval = f"[{points(row['low_pp'])}, {points(row['high_pp'])}]"
        lines.append(f"{row['arms']}: {points(row['mean_pp'])} pp {interval}, {row['words']}")
    return "\n".join([*lines, f"{verdict['decision']}: {verdict['sentence']}"])
