"""Read the few images that a report shows from shards of any size; hold no others in memory.

Images are chosen by rule, never by hand: evenly spaced over the rows of a class, and the closest
pairs.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ganaug.images import Pixels, decode_png
from ganaug.quality.lineage import origin_rows
from ganaug.shards import pngs_of, read_rows
from ganaug.thumbnails import AXES

Shards = Sequence[Path]


def examples_by_class(paths: Shards, num_classes: int, *, number: int) -> list[list[Pixels]]:
    """Up to `number` images [H, W, C] of each class, evenly spaced over its rows."""
    if not paths:
        return [[] for _ in range(num_classes)]
    chosen = _choose(read_rows(paths)[0], num_classes, number)
    images = _read_images(paths, pd.concat(chosen)["image_id"])
    return [[images[image_id] for image_id in own["image_id"]] for own in chosen]


def read_pairs(
    pairs: Sequence[Mapping[str, Any]], synthetic: Shards, real: Shards
) -> list[tuple[Pixels, Pixels]]:
    """Synthetic and real images of closest_pairs.json, these in the flip that comes nearest."""
    synthetic_images = _read_images(synthetic, (pair["synthetic_id"] for pair in pairs))
    real_images = _read_images(real, (pair["train_id"] for pair in pairs))
    return [
        (
            synthetic_images[pair["synthetic_id"]],
            _flipped(real_images[pair["train_id"]], pair["flip"]),
        )
        for pair in pairs
    ]


def read_origins(
    synthetic: Shards, real: Shards, num_classes: int, *, number: int
) -> list[list[tuple[Pixels, Pixels]]]:
    """Up to `number` pairs for each class: the real image of another class, and what became of it.

    Each real image is in the flip that is nearest to the synthetic one. The lists are empty unless
    images were made from others: a first parent of the same class only gave a detail.
    """
    if not synthetic:
        return [[] for _ in range(num_classes)]
    rows, real_rows = read_rows(synthetic)[0], read_rows(real)[0]
    real_ids, real_labels = (real_rows[column].to_numpy() for column in ("image_id", "label"))
    origins = origin_rows(rows["parent_id"], rows["label"].to_numpy(), real_ids, real_labels)
    translated = rows[origins >= 0].assign(origin_id=real_ids[origins[origins >= 0]])
    chosen = _choose(translated, num_classes, number)
    shown = pd.concat(chosen)
    real_images = _read_images(real, shown["origin_id"])
    synthetic_images = _read_images(synthetic, shown["image_id"])

    def pair(origin_id: str, image_id: str) -> tuple[Pixels, Pixels]:
        image = synthetic_images[image_id]
        return _nearest_flip(real_images[origin_id], image), image

    return [list(map(pair, own["origin_id"], own["image_id"])) for own in chosen]


def _nearest_flip(image: Pixels, other: Pixels) -> Pixels:
    """The flip of an image that differs least from another one."""
    ways = [_flipped(image, flips) for flips in ("", "hflip", "vflip", "hflip+vflip")]
    return min(ways, key=lambda way: float(np.abs(way.astype(int) - other).sum()))


def _flipped(image: Pixels, flips: str) -> Pixels:
    """[H, W, C], by "", "hflip", "vflip" or "hflip+vflip"."""
    flipped: Pixels = np.flip(image, axis=tuple(AXES[n] - 1 for n in flips.split("+") if n))
    return flipped


def _choose(rows: pd.DataFrame, num_classes: int, number: int) -> list[pd.DataFrame]:
    """Up to `number` rows of each class, evenly spaced."""
    chosen = []
    for label in range(num_classes):
        own = rows[rows["label"] == label]
        places = np.linspace(0, len(own) - 1, min(number, len(own)))
        chosen.append(own.iloc[places.round().astype(int)])
    return chosen


def _read_images(paths: Shards, image_ids: Iterable[str]) -> dict[str, Pixels]:
    return {i: decode_png(png) for i, png in pngs_of(paths, image_ids).items()}
