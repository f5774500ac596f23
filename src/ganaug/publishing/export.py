"""The merged dataset as other tools read it: the stored PNGs, with provenance beside them.

- imagefolder: SPLIT/CLASS/ID.png, as torchvision's ImageFolder and `datasets` read it
- csv: images/ID.png and labels.csv
- webdataset: SPLIT-00000.tar of ID.cls, ID.json and ID.png
- audio: SPLIT/CLASS/ID.wav, the sound of each spectrogram

Equal datasets give equal bytes. A stopped export resumes: it keeps the images already written; tars
are written whole.
"""

import csv
from collections.abc import Iterable, Iterator
from itertools import chain, groupby
from pathlib import Path
from typing import Any

from ganaug.errors import DatasetError
from ganaug.fileio import atomic_file, read_json, sha256_file, write_bytes, write_json
from ganaug.images import decode_png
from ganaug.publishing.manifest import MANIFEST, read_manifest, shards_of
from ganaug.records import METADATA_COLUMNS, SPLITS
from ganaug.shards import iter_rows
from ganaug.spectrogram import Scale, encode_wav, to_sound

# The place of an image, and the table that lists them all.
FILES = {
    "imagefolder": ("{split}/{class}/{image_id}.png", "metadata.csv"),
    "csv": ("images/{image_id}.png", "labels.csv"),
    "audio": ("{split}/{class}/{image_id}.wav", "metadata.csv"),
}
LAYOUTS = (*FILES, "webdataset")
ROWS_PER_TAR = 10_000
MARKER = ".export.json"  # which dataset, in which layout

Row = dict[str, Any]
ImageRows = Iterable[tuple[Row, bytes]]  # with the PNG


def export_dataset(folder: Path, out: Path, *, layout: str, config: str = "default") -> int:
    """Write a merged dataset in another format.

    Args:
        folder: data/augmented.
        out: folder to write to.
        layout: one of `LAYOUTS`.
        config: default (what the verdict recommends), real or augmented.
    Returns:
        Number of images.
    Raises:
        DatasetError: the dataset can't be read, there is no such layout or config, or `out` holds
            something else.
    """
    if layout not in LAYOUTS:
        raise DatasetError(f"no format {layout!r}; there are {', '.join(LAYOUTS)}")
    manifest = read_manifest(folder)
    if layout == "audio" and not manifest.get("sound"):
        raise DatasetError(f"{folder} holds images, not spectrograms: there is nothing to hear")
    shards = {split: shards_of(folder, manifest, split, config=config) for split in SPLITS}
    _claim(out, {"dataset": sha256_file(folder / MANIFEST), "layout": layout, "config": config})
    rows = {split: _rows(paths, manifest["classes"]) for split, paths in shards.items()}
    if layout == "audio":
        scale = Scale(**manifest["sound"]["scale"])
        rows = {split: _sounds(own, scale) for split, own in rows.items()}
    if layout in FILES:
        return _write_files(chain(*rows.values()), out, *FILES[layout])
    return sum(_write_tars(own, out, split) for split, own in rows.items())


def _claim(out: Path, content: Row) -> None:
    """Take an empty folder, or one where this export was stopped: two exports would mix.

    Raises:
        DatasetError: something else lies there.
    """
    marker = out / MARKER
    if marker.exists() and read_json(marker) == content:
        return
    if out.exists() and any(out.iterdir()):
        raise DatasetError(f"{out} is not empty and holds no part of this export; give another")
    write_json(content, marker)


def _rows(shards: Iterable[Path], classes: list[str]) -> Iterator[tuple[Row, bytes]]:
    """Rows with the name of their class."""
    for path in shards:
        for row, png in iter_rows(path):
            yield {"class": classes[row["label"]], **row}, png


def _sounds(rows: ImageRows, scale: Scale) -> Iterator[tuple[Row, bytes]]:
    """The rows with a WAV, marked like its image, in the place of the PNG."""
    for row, png in rows:
        sound, is_synthetic = to_sound(decode_png(png), scale), row["source"] == "synthetic"
        yield row, encode_wav(sound, scale.sample_rate, synthetic=is_synthetic)


def _write_files(rows: ImageRows, out: Path, place: str, table: str) -> int:
    number, columns = 0, ["file_name", "class", *METADATA_COLUMNS]
    with (
        atomic_file(out / table) as temporary,
        temporary.open("w", encoding="utf-8", newline="") as file,
    ):
        writer = csv.DictWriter(file, columns, lineterminator="\n")
        writer.writeheader()
        for row, png in rows:
            number += 1
            name = place.format_map(row)
            path = out / name
            if not (path.is_file() and path.stat().st_size == len(png)):
                write_bytes(png, path)
            writer.writerow({"file_name": name, **row})
    return number


def _write_tars(rows: ImageRows, out: Path, split: str) -> int:
    from webdataset import TarWriter  # takes a second to import

    number = 0
    for part, chunk in groupby(enumerate(rows), key=lambda item: item[0] // ROWS_PER_TAR):
        path = out / f"{split}-{part:05d}.tar"
        # The time is fixed: equal rows give equal bytes.
        with atomic_file(path) as temporary, TarWriter(str(temporary), mtime=0) as tar:
            for _, (row, png) in chunk:
                number += 1
                key, label = row["image_id"], row["label"]
                tar.write({"__key__": key, "png": png, "cls": label, "json": row})
    return number
