"""Check a merged dataset against its manifest, row by row; needs its folder only."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ganaug.errors import DatasetError
from ganaug.fileio import is_sealed, sha256_file
from ganaug.images import decode_png, is_marked_synthetic, pixel_id
from ganaug.publishing.manifest import APART, MANIFEST, configs_of, read_manifest
from ganaug.records import PROVENANCE
from ganaug.shards import iter_rows

Facts = dict[str, Any]
Counts = Counter[tuple[str, str, str]]  # images by split, class and source

SEALED_SINCE = 4  # schema version of the manifest
SHOWN = 5  # problems in the error; the rest are counted


def verify_dataset(folder: Path) -> Facts:
    """Check files against the manifest and every row against the rules, in all configs.

    Every file has its sha256, and there are no others; every image decodes to the pixels that its
    `image_id` names; synthetic rows lie in train, name their generator and are marked as synthetic
    inside the PNG, real rows are not; the counts are those stated.

    Args:
        folder: data/augmented, or a copy of it.
    Returns:
        The manifest.
    Raises:
        DatasetError: names the first problems by file and row, and counts the rest.
    """
    manifest = read_manifest(folder)
    by_file = _file_problems(folder, manifest)
    problems = [f"{name} {problem}" for name, problem in sorted(by_file.items())]
    if "synthetic" not in configs_of(manifest)["default"]:
        problems += [
            f"{name} is synthetic and lies outside {APART}, though the default is real"
            for name, facts in sorted(manifest["files"].items())
            if facts["source"] == "synthetic" and not name.startswith(f"{APART}/")
        ]
    counts = Counts()
    for name in sorted(set(manifest["files"]) - set(by_file)):
        problems += _row_problems(folder, name, manifest, counts)
    if not problems:
        problems += _count_problems(manifest, counts)
    if manifest.get("schema_version", 0) >= SEALED_SINCE and not is_sealed(folder / MANIFEST):
        problems.append(f"{MANIFEST} has lost its seal")
    if problems:
        more = f"; and {len(problems) - SHOWN} more" if len(problems) > SHOWN else ""
        raise DatasetError(f"{folder}: {'; '.join(problems[:SHOWN])}{more}")
    return manifest


def _file_problems(folder: Path, manifest: Facts) -> dict[str, str]:
    """What is wrong with a file, by name."""
    paths = (path for path in folder.rglob("*") if path.is_file())
    found = {path.relative_to(folder).as_posix() for path in paths} - {MANIFEST}
    stated = {name: facts["sha256"] for name, facts in manifest["files"].items()}
    stated |= manifest["documents"]
    problems = dict.fromkeys(found - set(stated), "is not in the manifest")
    for name, sha256 in stated.items():
        if name not in found:
            problems[name] = "is missing"
        elif sha256_file(folder / name) != sha256:
            problems[name] = "has another sha256 than the manifest"
    return problems


def _row_problems(folder: Path, name: str, manifest: Facts, counts: Counts) -> Iterator[str]:
    """What is wrong with the rows of a shard; adds the rows to `counts`."""
    classes = dict(enumerate(manifest["classes"]))
    for number, (row, png) in enumerate(iter_rows(folder / name)):
        counts[row["split"], classes.get(row["label"], "?"), row["source"]] += 1
        for problem in _problems_of(row, png, manifest, manifest["files"][name]):
            yield f"{name} row {number} ({row['image_id']}): {problem}"


def _problems_of(row: Facts, png: bytes, manifest: Facts, shard: Facts) -> list[str]:
    try:
        found = pixel_id(decode_png(png))
    except ValueError as error:
        return [f"not a readable image ({error})"]
    marked, synthetic = is_marked_synthetic(png), row["source"] == "synthetic"
    whole = all(row[name] is not None for name in PROVENANCE)
    other = synthetic and whole and row["generator_id"] != manifest.get("generator_id")
    broken = {
        "the pixels are not those that its image_id names": found != row["image_id"],
        f"label {row['label']} has no class": not 0 <= row["label"] < len(manifest["classes"]),
        "synthetic, but the image is not marked as such": synthetic and not marked,
        "marked as synthetic, but the row says real": marked and not synthetic,
        f"synthetic, but in split {row['split']}": synthetic and row["split"] != "train",
        "synthetic, but without provenance": synthetic and not whole,
        f"{row['source']}, in a shard of {shard['source']} rows": row["source"] != shard["source"],
        f"made by generator {row['generator_id']}, which is not the manifest's": other,
    }
    return [problem for problem, is_so in broken.items() if is_so]


def _count_problems(manifest: Facts, counts: Counts) -> Iterator[str]:
    stated = Counts()
    for split, classes in manifest["counts"].items():
        for name, by_source in classes.items():
            for source, number in by_source.items():
                stated[split, name, source] = number
    for split, name, source in sorted(stated.keys() | counts.keys()):
        found, expected = (by[split, name, source] for by in (counts, stated))
        if found != expected:
            yield f"{split} has {found} {source} images of {name}, not {expected}"
