"""The few images that a report shows, read from shards of any size.

Images are chosen by rule, never by hand: evenly spaced over the rows of a class, and the closest
pairs by distance. Of the images, only the row groups that hold a chosen one are read.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from ganaug.images import Pixels, decode_png


class Pair(NamedTuple):
    """A synthetic image and the real training image nearest to it."""

    synthetic: Pixels
    real: Pixels
    label: int
    distance: float  # in the feature space of the filter


def examples_by_class(
    paths: Sequence[Path], num_classes: int, *, number: int
) -> list[list[Pixels]]:
    """Up to `number` images [H, W, C] of each class, evenly spaced over its rows."""
    labels = _columns(paths, ["label"])["label"].to_numpy() if paths else np.empty(0)
    chosen = [_evenly(np.flatnonzero(labels == label), number) for label in range(num_classes)]
    images = _images_at(paths, {row for rows in chosen for row in rows})
    return [[images[row] for row in rows] for rows in chosen]


def closest_pairs(synthetic: Sequence[Path], real: Sequence[Path], *, number: int) -> list[Pair]:
    """The `number` synthetic images nearest to a real training image, nearest first."""
    if not synthetic:
        return []
    made = _columns(synthetic, ["label", "nearest_id", "nearest_distance"])
    made = made.nsmallest(number, "nearest_distance")
    real_ids = _columns(real, ["image_id"])["image_id"]
    found = real_ids[real_ids.isin(made["nearest_id"])]
    row_of = dict(zip(found, found.index.tolist(), strict=True))
    rows, nearest = made.index.tolist(), [row_of[key] for key in made["nearest_id"]]
    images, originals = _images_at(synthetic, rows), _images_at(real, nearest)
    facts = zip(rows, nearest, made["label"], made["nearest_distance"], strict=True)
    return [
        Pair(images[row], originals[near], int(label), float(distance))
        for row, near, label, distance in facts
    ]


def _columns(paths: Sequence[Path], names: list[str]) -> pd.DataFrame:
    """Columns of all rows, numbered through from 0."""
    tables = [pq.read_table(path, columns=names).replace_schema_metadata() for path in paths]
    frame: pd.DataFrame = pa.concat_tables(tables).to_pandas()
    return frame


def _evenly(rows: NDArray[np.int64], number: int) -> list[int]:
    picks = np.linspace(0, len(rows) - 1, min(number, len(rows))).round().astype(int)
    return [int(row) for row in rows[picks]]


def _images_at(paths: Sequence[Path], rows: Iterable[int]) -> dict[int, Pixels]:
    """Decoded images at the given row numbers, counted through all shards."""
    images: dict[int, Pixels] = {}
    wanted, start = set(rows), 0
    for path in paths:
        with pq.ParquetFile(path) as file:
            for group in range(file.num_row_groups):
                stop = start + file.metadata.row_group(group).num_rows
                here = [row for row in range(start, stop) if row in wanted]
                if here:
                    column = file.read_row_group(group, ["image"]).column("image")
                    images |= {
                        row: decode_png(column[row - start]["bytes"].as_py()) for row in here
                    }
                start = stop
    return images
