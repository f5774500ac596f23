"""Read the few images that a report shows from shards of any size.

Images are chosen by rule, never by hand: evenly spaced over the rows of a class, and the closest
pairs. Only row groups with a chosen image are read.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
from numpy.typing import NDArray

from ganaug.images import Pixels, decode_png
from ganaug.thumbnails import AXES


class Pair(NamedTuple):
    """A synthetic image and the real training image nearest to it, in the flip that is."""

    synthetic: Pixels
    real: Pixels
    distance: float  # between thumbnails


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
) -> list[Pair]:
    """The images of closest_pairs.json, in order; real ones in the flip that comes nearest."""
    made = _images_by_id(synthetic, [pair["synthetic_id"] for pair in pairs])
    originals = _images_by_id(real, [pair["train_id"] for pair in pairs])
    return [
        Pair(
            made[pair["synthetic_id"]],
            _flipped(originals[pair["train_id"]], pair["flip"]),
            pair["distance"],
        )
        for pair in pairs
    ]


def read_origins(
    synthetic: Sequence[Path], real: Sequence[Path], num_classes: int, *, number: int
) -> list[list[tuple[Pixels, Pixels]]]:
    """Up to `number` pairs for each class: the real image of another class, and what became of it.

    Each real image is in the flip that is nearest to the synthetic one. The lists are empty unless
    images were made from others: a first parent of the same class only gave a detail.
    """
    parents = pd.Series(_column(synthetic, "parent_id"), dtype="string").str.split().str[0]
    labels = _column(synthetic, "label")
    of_parent = dict(zip(_column(real, "image_id"), _column(real, "label"), strict=True))
    other = parents.map(of_parent).ne(pd.Series(labels)) & parents.notna()
    rows = [np.flatnonzero(other & (labels == label)) for label in range(num_classes)]
    chosen = [_evenly(own, number) for own in rows]
    made = _images_at(synthetic, {row for own in chosen for row in own})
    begun = _images_by_id(real, list(parents.iloc[[row for own in chosen for row in own]]))
    return [
        [(_nearest_flip(begun[parents[row]], made[row]), made[row]) for row in own]
        for own in chosen
    ]


def _nearest_flip(image: Pixels, other: Pixels) -> Pixels:
    """The flip of an image that differs least from another one."""
    ways = [_flipped(image, flips) for flips in ("", "hflip", "vflip", "hflip+vflip")]
    return min(ways, key=lambda way: float(np.abs(way.astype(int) - other).sum()))


def _flipped(image: Pixels, flips: str) -> Pixels:
    """[H, W, C], by "", "hflip", "vflip" or "hflip+vflip"."""
    flipped: Pixels = np.flip(image, axis=tuple(AXES[n] - 1 for n in flips.split("+") if n))
    return flipped


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
