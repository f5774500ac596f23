"""Read the few images that a report shows from shards of any size.

Images are chosen by rule, never by hand: evenly spaced over the rows of a class, and the closest
pairs. Only row groups with a chosen image are read.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
from numpy.typing import NDArray

from ganaug.images import Pixels, decode_png
from ganaug.thumbnails import AXES


def examples_by_class(
    paths: Sequence[Path], num_classes: int, *, number: int
) -> list[list[Pixels]]:
    """Up to `number` images [H, W, C] of each class, evenly spaced over its rows."""
    labels = _column(paths, "label")
    chosen = [_evenly(np.flatnonzero(labels == label), number) for label in range(num_classes)]
    images = _images_at(paths, {row for rows in chosen for row in rows})
    return [[images[row] for row in rows] for rows in chosen]


def read_pairs(
    pairs: Sequence[Mapping[str, Any]], synthetic: Sequence[Path], real: Sequence[Path]
) -> list[tuple[Pixels, Pixels]]:
    """Synthetic and real images of closest_pairs.json, these in the flip that comes nearest."""
    made = _images_by_id(synthetic, [pair["synthetic_id"] for pair in pairs])
    originals = _images_by_id(real, [pair["train_id"] for pair in pairs])
    axes = [tuple(AXES[n] - 1 for n in pair["flip"].split("+") if n) for pair in pairs]
    return [
        (made[pair["synthetic_id"]], np.flip(originals[pair["train_id"]], axis=axis))
        for pair, axis in zip(pairs, axes, strict=True)
    ]


def _images_by_id(paths: Sequence[Path], wanted: Sequence[str]) -> dict[str, Pixels]:
    ids = _column(paths, "image_id")
    images = _images_at(paths, np.flatnonzero(pd.Index(ids).isin(wanted)).tolist())
    return {ids[row]: image for row, image in images.items()}


def _column(paths: Sequence[Path], name: str) -> NDArray[Any]:
    """A column of all rows, through all shards."""
    parts = [pq.read_table(path, columns=[name])[name].to_numpy() for path in paths]
    return np.concatenate(parts) if parts else np.empty(0)


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
