"""Write rows to Parquet shards and read them; the bytes depend on the rows alone.

DVC stores and pushes whole files, so one changed row stores its shard again. Real and synthetic
rows are in different shards, and the first bits of the image_id choose the shard, so that a row
added or removed changes one shard only.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from itertools import chain, repeat
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from ganaug.errors import DatasetError, explained
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
    """Write rows to `stem-00000.parquet` and so on, in the given order within each.

    Args:
        rows: the metadata columns of `records`, one row per image.
        images: PNG bytes, one per row; spans of a file are read one row group at a time.
        folder: must exist.
        stem: names the content, say "train-real".
        class_names: what `label` indexes.
    Returns:
        The files written; none for no rows.
    """
    checked = check_rows(rows.reset_index(drop=True), class_names, where=stem)
    if len(images) != len(rows):
        raise ValueError(f"{stem}: {len(rows)} rows, {len(images)} images")
    first_bits = np.array([int(i[:16], 16) for i in checked["image_id"]], np.uint64)
    sizes = np.array([len(content) for content in images], np.int64)
    schema = arrow_schema(class_names)
    paths: list[Path] = []
    for part in _parts(first_bits, sizes, np.arange(len(rows)), bit=63):
        paths.append(folder / f"{stem}-{len(paths):05d}.parquet")
        _write_shard(checked.iloc[part], [images[row] for row in part], paths[-1], schema)
    return paths


def _parts(
    bits: NDArray[np.uint64], sizes: NDArray[np.int64], rows: NDArray[np.int64], *, bit: int
) -> Iterator[NDArray[np.int64]]:
    """Halve `rows` by the first bits of their id until each part fits a shard."""
    if sizes[rows].sum() <= TARGET_BYTES or bit < 0:
        if len(rows):
            yield rows
        return
    upper = (bits[rows] >> np.uint64(bit)) & np.uint64(1) == 1
    yield from _parts(bits, sizes, rows[~upper], bit=bit - 1)
    yield from _parts(bits, sizes, rows[upper], bit=bit - 1)


def _write_shard(
    rows: pd.DataFrame, images: Sequence[bytes | Span], path: Path, schema: pa.Schema
) -> None:
    # PNG does not compress further. All that decides the bytes is fixed here or pinned.
    with pq.ParquetWriter(path, schema, compression="none") as writer:
        for start in range(0, len(rows), ROWS_PER_GROUP):
            part = rows.iloc[start : start + ROWS_PER_GROUP]
            pngs = images[start : start + ROWS_PER_GROUP]
            structs: Any = [
                {"bytes": bytes(png), "path": f"{i}.png"}
                for png, i in zip(pngs, part["image_id"], strict=True)
            ]
            table = pa.Table.from_pandas(part.assign(image=structs), schema, preserve_index=False)
            writer.write_table(table.replace_schema_metadata(schema.metadata))


def read_rows(paths: Sequence[Path]) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Metadata columns of all rows, and the class names.

    Raises:
        DatasetError: a shard is not readable Parquet, lacks a column, or two shards disagree on
            the class names.
    """
    tables, names = [], set()
    for path in paths:
        with _readable(path):
            schema = pq.read_schema(path)
            tables.append(pq.read_table(path, columns=METADATA_COLUMNS))
        names.add(class_names_of(schema))
    if len(names) != 1:
        raise DatasetError(
            f"{paths[0].parent}: shards disagree on the class names: {sorted(names)}"
        )
    return pa.concat_tables(tables).to_pandas(), names.pop()


def _readable(path: Path) -> AbstractContextManager[None]:
    """Refuse what is no shard, in one line; its columns may hold anything."""
    broken = (pa.ArrowException, OSError, TypeError, KeyError)
    return explained(DatasetError, f"{path}: not a readable shard", *broken)


def iter_rows(
    path: Path, columns: Sequence[str] = METADATA_COLUMNS
) -> Iterator[tuple[dict[str, Any], bytes]]:
    """Metadata and PNG of each row of a shard, in order, one row group in memory at a time.

    Reading fewer columns is faster.

    Raises:
        DatasetError: the shard can't be read.
    """
    with _readable(path), pq.ParquetFile(path) as file:
        for batch in file.iter_batches(ROWS_PER_GROUP, columns=["image", *columns]):
            for row in batch.to_pylist():
                yield row, row.pop("image")["bytes"]


def pngs_of(paths: Sequence[Path], image_ids: Iterable[str]) -> dict[str, bytes]:
    """PNG of each of these images that is there, by its id; the others are passed over.

    Row groups are skipped if their range of ids holds none of them. Real rows lie in that order.

    Raises:
        DatasetError: a shard can't be read.
    """
    is_wanted = pc.field("image_id").isin(pa.array(set(image_ids), pa.string()))
    pngs = dict[str, bytes]()
    for path in paths:
        with _readable(path):
            table = pq.read_table(path, columns=["image_id", "image"], filters=is_wanted)
            pngs |= {row["image_id"]: row["image"]["bytes"] for row in table.to_pylist()}
    return pngs


def iter_images(paths: Sequence[Path], *, chosen: Iterable[bool] | None = None) -> Iterator[Pixels]:
    """Decoded images in row order, of all rows or of those that are `chosen`.

    One row group is in memory at a time.
    """
    is_chosen = repeat(True) if chosen is None else iter(chosen)
    for path in paths:
        for _, png in iter_rows(path, columns=()):
            try:
                if next(is_chosen):
                    yield decode_png(png)
            except ValueError as error:
                raise DatasetError(f"{path}: {error}; run the stage that wrote it again") from None


def read_images(
    paths: Sequence[Path], *, spill: Path | None = None, chosen: NDArray[np.bool_] | None = None
) -> NDArray[np.uint8]:
    """Images as one array [N, H, W, C] uint8, N >= 1.

    Args:
        paths: shards.
        spill: a .npy file for images that do not fit in memory; the array is then a read-only
            `np.memmap`.
        chosen: for each row, whether to take it; None takes all.
    Raises:
        DatasetError: a shard can't be read, or its images differ in shape.
    """
    if chosen is None:
        chosen = np.ones(sum(pq.read_metadata(path).num_rows for path in paths), bool)
    images = iter_images(paths, chosen=chosen)
    first = next(images)
    shape = (int(chosen.sum()), *first.shape)
    if spill is None:
        together = np.empty(shape, dtype=np.uint8)
    else:
        together = np.lib.format.open_memmap(spill, mode="w+", dtype=np.uint8, shape=shape)
    for row, image in enumerate(chain([first], images)):
        if image.shape != first.shape:
            raise DatasetError(
                f"{paths[0].parent}: image {row} has shape {image.shape}, the first {first.shape}"
            )
        together[row] = image
    together.flags.writeable = spill is None
    return together


def read_labelled(
    paths: Sequence[Path], *, spill: Path | None = None
) -> tuple[pd.DataFrame, NDArray[np.uint8], NDArray[np.int64]]:
    """The rows of shards, their images [N, H, W, C] and labels [N]; see `read_images`."""
    rows, _ = read_rows(paths)
    return rows, read_images(paths, spill=spill), rows["label"].to_numpy(np.int64)


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
    table = pd.crosstab(rows["label"], rows["split"]).reindex(range(len(class_names)), fill_value=0)
    counts: Any = table.set_axis(list(class_names)).to_dict()
    return dict(counts)
