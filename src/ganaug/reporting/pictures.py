"""Read the few images that a report shows from shards of any size, one row group in memory.

Images are chosen by rule, never by hand: evenly spaced over the rows of a class, and the closest
pairs.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ganaug.images import Pixels, decode_png
from ganaug.shards import pngs_of, read_rows
from ganaug.thumbnails import AXES


def examples_by_class(
    paths: Sequence[Path], num_classes: int, *, number: int
) -> list[list[Pixels]]:
    """Up to `number` images [H, W, C] of each class, evenly spaced over its rows."""
    if not paths:
        return [[] for _ in range(num_classes)]
    rows, _ = read_rows(paths)
    chosen = []
    for label in range(num_classes):
        own = rows.loc[rows["label"] == label, "image_id"]
        picks = np.linspace(0, len(own) - 1, min(number, len(own))).round().astype(int)
        chosen.append(own.iloc[picks].tolist())
    pngs = pngs_of(paths, set().union(*chosen))
    return [[decode_png(pngs[image_id]) for image_id in own] for own in chosen]


def read_pairs(
    pairs: Sequence[Mapping[str, Any]], synthetic: Sequence[Path], real: Sequence[Path]
) -> list[tuple[Pixels, Pixels]]:
    """Synthetic and real images of closest_pairs.json, these in the flip that comes nearest."""
    made = pngs_of(synthetic, {pair["synthetic_id"] for pair in pairs})
    originals = pngs_of(real, {pair["train_id"] for pair in pairs})
    found = []
    for pair in pairs:
        axes = tuple(AXES[name] - 1 for name in pair["flip"].split("+") if name)
        original = np.flip(decode_png(originals[pair["train_id"]]), axis=axes)
        found.append((decode_png(made[pair["synthetic_id"]]), original))
    return found
