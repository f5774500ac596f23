"""Is a merged dataset what its manifest says, row by row? Needs nothing but its folder."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ganaug.errors import DatasetError
from ganaug.fileio import sha256_file
from ganaug.images import decode_png, is_marked_synthetic, pixel_id
from ganaug.publishing.manifest import MANIFEST, read_manifest
from ganaug.records import PROVENANCE
from ganaug.shards import iter_rows

SHOWN = 5  # problems in the error; the rest are counted


def verify_dataset(folder: Path) -> dict[str, Any]:
    """Check files against the manifest and every row against the rules.

    Every file has its sha256 and there is no other; every image decodes to the pixels that its
    `image_id` names; synthetic rows lie in train, name their generator, and carry the mark of
    synthetic media inside the PNG, which real rows do not; the counts are those stated.

    Args:
        folder: data/augmented, or a copy of it.
    Returns:
        The manifest.
    Raises:
        DatasetError: with the first problems by file and row, and how many there are.
    """
    manifest = read_manifest(folder)
    by_file = _file_problems(folder, manifest)
    problems = [f"{name} {problem}" for name, problem in sorted(by_file.items())]
    counts = Counter[tuple[str, int, str]]()
    for name in sorted(set(manifest["files"]) - set(by_file)):
        problems += _row_problems(folder / name, manifest, counts)
    if not problems:
        problems += _count_problems(manifest, counts)
    if problems:
        more = f"; and {len(problems) - SHOWN} more" if len(problems) > SHOWN else ""
        raise DatasetError(f"{folder}: {'; '.join(problems[:SHOWN])}{more}")
    return manifest


def _file_problems(folder: Path, manifest: dict[str, Any]) -> dict[str, str]:
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


def _row_problems(
    path: Path, manifest: dict[str, Any], counts: Counter[tuple[str, int, str]]
) -> Iterator[str]:
    for number, (row, png) in enumerate(iter_rows(path)):
        counts[row["split"], row["label"], row["source"]] += 1
        where = f"{path.name} row {number} ({row['image_id']})"
        try:
            found = pixel_id(decode_png(png))
        except ValueError as error:
            yield f"{where}: not a readable image ({error})"
            continue
        if found != row["image_id"]:
            yield f"{where}: the pixels are not those that its image_id names"
        if not 0 <= row["label"] < len(manifest["classes"]):
            yield f"{where}: label {row['label']} has no class"
        for problem in _provenance_problems(row, manifest.get("generator_id"), png):
            yield f"{where}: {problem}"


def _provenance_problems(
    row: dict[str, Any], generator_id: str | None, png: bytes
) -> Iterator[str]:
    marked = is_marked_synthetic(png)
    synthetic = row["source"] == "synthetic"
    if synthetic and not marked:
        yield "synthetic, but the image is not marked as such"
    if marked and not synthetic:
        yield "marked as synthetic, but the row says real"
    if synthetic and row["split"] != "train":
        yield f"synthetic, but in split {row['split']}"
    if synthetic and any(row[name] is None for name in PROVENANCE):
        yield "synthetic, but without provenance"
    elif synthetic and row["generator_id"] != generator_id:
        yield f"made by generator {row['generator_id']}, which is not the manifest's"


def _count_problems(
    manifest: dict[str, Any], counts: Counter[tuple[str, int, str]]
) -> Iterator[str]:
    stated = {
        (split, label, source): number
        for split, classes in manifest["counts"].items()
        for label, name in enumerate(manifest["classes"])
        for source, number in classes[name].items()
    }
    for key in sorted(stated.keys() | counts.keys()):
        split, label, source = key
        if counts[key] != stated.get(key, 0):
            name = manifest["classes"][label]
            yield f"{split} has {counts[key]} {source} images of {name}, not {stated.get(key, 0)}"
