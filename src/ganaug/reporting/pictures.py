"""Read the few images that a report shows from shards of any size, one row group in memory.

Images are chosen by rule, never by hand: evenly spaced over the rows of a class, and the closest
pairs.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ganaug.images import Pixels, decode_png
from ganaug.quality.lineage import origin_rows
from ganaug.shards import pngs_of, read_rows
from ganaug.thumbnails import AXES


def examples_by_class(
    paths: Sequence[Path], num_classes: int, *, number: int
) -> list[list[Pixels]]:
    """Up to `number` images [H, W, C] of each class, evenly spaced over its rows."""
    if not paths:
        return [[] for _ in range(num_classes)]
    rows, _ = read_rows(paths)
    own = (_evenly(rows[rows["label"] == label], number) for label in range(num_classes))
    chosen = [some["image_id"].tolist() for some in own]
    pngs = pngs_of(paths, set().union(*chosen))
    return [[decode_png(pngs[image_id]) for image_id in own] for own in chosen]


def read_pairs(
    pairs: Sequence[Mapping[str, Any]], synthetic: Sequence[Path], real: Sequence[Path]
) -> list[tuple[Pixels, Pixels]]:
    """Synthetic and real images of closest_pairs.json, these in the flip that comes nearest."""
    made = pngs_of(synthetic, {pair["synthetic_id"] for pair in pairs})
    originals = pngs_of(real, {pair["train_id"] for pair in pairs})
    return [
        (
            decode_png(made[pair["synthetic_id"]]),
            _flipped(decode_png(originals[pair["train_id"]]), pair["flip"]),
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
    if not synthetic:
        return [[] for _ in range(num_classes)]
    made, train = read_rows(synthetic)[0], read_rows(real)[0]
    real_ids, real_labels = (train[column].to_numpy() for column in ("image_id", "label"))
    rows = origin_rows(made["parent_id"], made["label"].to_numpy(), real_ids, real_labels)
    other = made[rows >= 0].assign(parent=real_ids[rows[rows >= 0]])
    chosen = [_evenly(other[other["label"] == label], number) for label in range(num_classes)]
    pngs = pngs_of(synthetic, {i for own in chosen for i in own["image_id"]})
    begun = pngs_of(real, {i for own in chosen for i in own["parent"]})
    found = []
    for own in chosen:
        ids = zip(own["parent"], own["image_id"], strict=True)
        pairs = ((decode_png(begun[one]), decode_png(pngs[other_id])) for one, other_id in ids)
        found.append([(_nearest_flip(image, became), became) for image, became in pairs])
    return found


def _nearest_flip(image: Pixels, other: Pixels) -> Pixels:
    """The flip of an image that differs least from another one."""
    ways = [_flipped(image, flips) for flips in ("", "hflip", "vflip", "hflip+vflip")]
    return min(ways, key=lambda way: float(np.abs(way.astype(int) - other).sum()))


def _flipped(image: Pixels, flips: str) -> Pixels:
    """[H, W, C], by "", "hflip", "vflip" or "hflip+vflip"."""
    flipped: Pixels = np.flip(image, axis=tuple(AXES[n] - 1 for n in flips.split("+") if n))
    return flipped


def _evenly(rows: pd.DataFrame, number: int) -> pd.DataFrame:
    """So many of the rows, evenly spaced."""
    return rows.iloc[np.linspace(0, len(rows) - 1, min(number, len(rows))).round().astype(int)]
