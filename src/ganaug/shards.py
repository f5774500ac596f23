"""Rows to Parquet shards and back, with bytes that depend on the rows alone.

DVC stores and pushes whole files, so a shard is the smallest thing that is stored again when a row
changes: real and synthetic rows never share one.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from ganaug.errors import DatasetError
from ganaug.fileio import Span, sha256_file
from ganaug.images import Pixels, decode_png
from ganaug.records import METADATA_COLUMNS, arrow_schema, check_rows, class_names_of

TARGET_BYTES = 64 * 2**20
ROWS_PER_GROUP = 1024  # what a streaming reader holds at a time


def write_shards(
    rows: pd.DataFrame,
    images: Sequence[bytes | Span],
    *,
    folder: Path,
    stem: str,
    class_names: Sequence[str],
) -> list[Path]:
    """Write rows, in the order given, to `stem-00000.parquet` and so on.

    Args:
        rows: the metadata columns of `records`, one row an image.
        images: PNG bytes, one a row; those that lie in a file are read one shard at a time.
        folder: must exist.
        stem: say "train-real"; names what the shard holds.
        class_names: what `label` indexes.
    Returns:
        The files written; none for no rows.
    """
    checked = check_rows(rows.reset_index(drop=True), class_names, where=stem)
    schema = arrow_schema(class_names)
    paths = []
    sizes = [len(content) for _, content in zip(checked["image_id"], images, strict=True)]
    for index, (start, stop) in enumerate(_cuts(sizes)):
        part = checked.iloc[start:stop]
        structs = [
            {"bytes": bytes(images[start + row]), "path": f"{image_id}.png"}
            for row, image_id in enumerate(part["image_id"])
        ]
        columns = {"image": structs, **{name: part[name] for name in METADATA_COLUMNS}}
        arrays = [pa.array(columns[f.name], type=f.type, from_pandas=True) for f in schema]
        path = folder / f"{stem}-{index:05d}.parquet"
        paths.append(_write_shard(pa.Table.from_arrays(arrays, schema=schema), path))
    return paths


def _cuts(sizes: Sequence[int]) -> list[tuple[int, int]]:
    """Row ranges of about TARGET_BYTES each."""
    if not sizes:
        return []
    shard_of = np.cumsum(sizes) // TARGET_BYTES
    starts = [0, *(np.flatnonzero(np.diff(shard_of)) + 1).tolist()]
    return list(zip(starts, [*starts[1:], len(sizes)], strict=True))


def _write_shard(table: pa.Table, path: Path) -> Path:
    # PNG does not compress further; everything that decides the bytes is fixed here or pinned.
    pq.write_table(table, path, compression="none", row_group_size=ROWS_PER_GROUP)
    return path


def read_rows(paths: Sequence[Path]) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Metadata columns of all rows, and the class names.

    Raises:
        DatasetError: a shard is not readable Parquet, lacks a column, or two shards disagree on
            the class names.
    """
    tables, names = [], set()
    for path in paths:
        try:
            schema = pq.read_schema(path)
            tables.append(pq.read_table(path, columns=METADATA_COLUMNS))
        except (pa.ArrowException, OSError) as error:
            raise DatasetError(f"{path}: not a readable shard ({error})") from None
        names.add(class_names_of(schema))
    if len(names) != 1:
        raise DatasetError(
            f"{paths[0].parent}: shards disagree on the class names: {sorted(names)}"
        )
    return pa.concat_tables(tables).to_pandas(), names.pop()


def iter_images(paths: Sequence[Path]) -> Iterator[Pixels]:
    """Decoded images of all rows, in row order, one row group in memory at a time."""
    for path in paths:
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(ROWS_PER_GROUP, columns=["image"]):
                for row in batch.column("image"):
                    yield decode_png(row["bytes"].as_py())


def read_images(paths: Sequence[Path], *, spill: Path | None = None) -> NDArray[np.uint8]:
    """All images as one array [N, H, W, C] uint8, N >= 1.

    Args:
        paths: shards.
        spill: a .npy file to write them to, for what does not fit in memory; the array is then a
            read-only `np.memmap` of it.
    """
    images = iter_images(paths)
    first = next(images)
    shape = (sum(pq.read_metadata(path).num_rows for path in paths), *first.shape)
    if spill is None:
        together = np.empty(shape, dtype=np.uint8)
    else:
        together = np.lib.format.open_memmap(spill, mode="w+", dtype=np.uint8, shape=shape)
    together[0] = first
    for row, image in enumerate(images, start=1):
        together[row] = image
    if spill is None:
        return together
    del together  # flushes
    mapped: NDArray[np.uint8] = np.load(spill, mmap_mode="r")
    return mapped


def describe_files(paths: Sequence[Path]) -> dict[str, dict[str, Any]]:
    """sha256, bytes and rows of each shard, keyed by file name."""
    return {
        path.name: {
            "sha256": sha256_file(path),
            "bytes": path.stat().st_size,
            "rows": pq.read_metadata(path).num_rows,
        }
        for path in paths
    }


def count_rows(rows: pd.DataFrame, class_names: Sequence[str]) -> dict[str, dict[str, int]]:
    """Images per split and class: {split: {class name: count}}, every class named."""
    counts: dict[str, dict[str, int]] = {}
    for split, part in rows.groupby("split", sort=False):
        per_label = part["label"].value_counts()
        counts[str(split)] = {name: int(per_label.get(i, 0)) for i, name in enumerate(class_names)}
    return counts
