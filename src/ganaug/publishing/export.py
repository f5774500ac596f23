"""The merged dataset as other tools read it: the stored PNGs, with provenance beside them.

- imagefolder: SPLIT/CLASS/ID.png, as torchvision's ImageFolder and `datasets` read it
- csv: images/ID.png and labels.csv
- webdataset: SPLIT-00000.tar of ID.png, ID.cls and ID.json

Equal datasets give equal bytes. Images that are there already are left alone, so that a stopped
export goes on; tars are written whole.
"""

import csv
import io
import json
import tarfile
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from ganaug.errors import DatasetError
from ganaug.fileio import atomic_file, read_json, sha256_file, write_json
from ganaug.publishing.manifest import MANIFEST, read_manifest
from ganaug.records import METADATA_COLUMNS, SPLITS
from ganaug.shards import iter_rows

ROWS_PER_TAR = 10_000
MARKER = ".export.json"  # which dataset, in which layout

Row = dict[str, Any]


def export_dataset(folder: Path, out: Path, *, layout: str) -> int:
    """Write a merged dataset in another format.

    Args:
        folder: data/augmented.
        out: folder to write to.
        layout: key of `LAYOUTS`.
    Returns:
        Number of images.
    Raises:
        DatasetError: the dataset can't be read, there is no such layout, or `out` holds
            something else.
    """
    if layout not in LAYOUTS:
        raise DatasetError(f"no format {layout!r}; there are {', '.join(LAYOUTS)}")
    manifest = read_manifest(folder)
    _claim(out, {"dataset": sha256_file(folder / MANIFEST), "layout": layout})
    return LAYOUTS[layout](folder, out, manifest)


def _claim(out: Path, content: Row) -> None:
    """Take an empty folder, or one that the same export was stopped in: two would mix their splits.

    Raises:
        DatasetError: something else lies there.
    """
    marker = out / MARKER
    if marker.exists() and read_json(marker) == content:
        return
    if out.exists() and any(out.iterdir()):
        raise DatasetError(f"{out} is not empty and holds no part of this export; give another")
    write_json(content, marker)


def _rows(folder: Path, manifest: Row, split: str) -> Iterator[tuple[Row, bytes]]:
    """Rows of a split with their class by name."""
    for name in sorted(manifest["files"]):
        if manifest["files"][name]["split"] == split:
            for row, png in iter_rows(folder / name):
                yield {"class": manifest["classes"][row["label"]], **row}, png


def _imagefolder(folder: Path, out: Path, manifest: Row) -> int:
    def place(row: Row) -> str:
        return f"{row['split']}/{row['class']}/{row['image_id']}.png"

    return _files_and_table(folder, out, manifest, place, table="metadata.csv")


def _csv(folder: Path, out: Path, manifest: Row) -> int:
    def place(row: Row) -> str:
        return f"images/{row['image_id']}.png"

    return _files_and_table(folder, out, manifest, place, table="labels.csv")


def _files_and_table(
    folder: Path, out: Path, manifest: Row, place: Callable[[Row], str], *, table: str
) -> int:
    number = 0
    with (
        atomic_file(out / table) as temporary,
        temporary.open("w", encoding="utf-8", newline="") as file,
    ):
        writer = csv.DictWriter(
            file, ["file_name", "class", *METADATA_COLUMNS], lineterminator="\n"
        )
        writer.writeheader()
        for split in SPLITS:
            for row, png in _rows(folder, manifest, split):
                path = out / place(row)
                if not (path.is_file() and path.stat().st_size == len(png)):
                    with atomic_file(path) as image:
                        image.write_bytes(png)
                writer.writerow({"file_name": place(row), **row})
                number += 1
    return number


def _webdataset(folder: Path, out: Path, manifest: Row) -> int:
    number = 0
    for split in SPLITS:
        rows = _rows(folder, manifest, split)
        for part, chunk in enumerate(_chunks(rows)):
            with (
                atomic_file(out / f"{split}-{part:05d}.tar") as temporary,
                closing(tarfile.open(temporary, "w", format=tarfile.USTAR_FORMAT)) as tar,
            ):
                for row, png in chunk:
                    _add(tar, f"{row['image_id']}.png", png)
                    _add(tar, f"{row['image_id']}.cls", str(row["label"]).encode())
                    _add(tar, f"{row['image_id']}.json", json.dumps(row).encode())
                    number += 1
    return number


def _chunks(rows: Iterator[tuple[Row, bytes]]) -> Iterator[Iterator[tuple[Row, bytes]]]:
    """Iterators of `ROWS_PER_TAR` rows, each to be used up before the next."""
    for first in rows:
        yield _first_and_next(first, rows, ROWS_PER_TAR - 1)


def _first_and_next(
    first: tuple[Row, bytes], rows: Iterator[tuple[Row, bytes]], more: int
) -> Iterator[tuple[Row, bytes]]:
    yield first
    for _, row in zip(range(more), rows, strict=False):
        yield row


def _add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    facts = tarfile.TarInfo(name)  # owner, mode and time are fixed: equal rows give equal bytes
    facts.size = len(content)
    tar.addfile(facts, io.BytesIO(content))


LAYOUTS: dict[str, Callable[[Path, Path, Row], int]] = {
    "imagefolder": _imagefolder,
    "webdataset": _webdataset,
    "csv": _csv,
}
