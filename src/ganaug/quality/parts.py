"""The rows and images that `evaluate` reads: real ones by split, and the synthetic ones.

Time and memory of distances grow with the square of the images, and more than some ten thousand
tell nothing new. So of a large part a sample is measured and trained on. Leaks by id and group are
looked for in all rows. Copies are looked for in the sample alone, as are near-duplicates across
splits; but the filter of `generate` has compared each image with all training images of its class,
and `prepare` all images with each other.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ganaug.errors import DatasetError
from ganaug.fileio import read_json, require_files
from ganaug.images import Indices, Labels
from ganaug.preparing.prepared import Prepared
from ganaug.quality.lineage import origin_rows
from ganaug.records import METADATA_COLUMNS, SPLITS
from ganaug.shards import read_images, read_rows

MOST_IMAGES = 10_000  # of a part that are measured, but for rare classes
FEWEST_OF_CLASS = 200  # that stay in a sample, or all if a class has fewer


@dataclass(frozen=True)
class LabelledImages:
    """Images with labels; `images` may be a memory map, which workers open themselves."""

    images: NDArray[Any]  # [N, H, W, C] uint8, or [N, V, D] features of V views
    labels: Labels  # [N]


@dataclass(frozen=True)
class Part:
    """Rows and images of a split, or of the synthetic images; of many a sample."""

    rows: pd.DataFrame
    data: LabelledImages
    all_rows: pd.DataFrame  # those that were not drawn, too


Parts = Mapping[str, Part]  # "train", "val", "test", "synthetic"


def read_parts(prepared: Prepared, synthetic: Path, *, scratch: Path) -> dict[str, Part]:
    """Rows and images to measure, images decoded into memory-mapped files below `scratch`.

    Raises:
        DatasetError: a shard is missing or not listed, or classes or image shapes differ.
    """
    shards = {split: prepared.shards(split) for split in SPLITS}
    files = read_json(synthetic / "synthetic.json")["files"]
    require_files(synthetic, files, listed_in="synthetic.json", stage="generate")
    if strange := {path.name for path in synthetic.glob("*.parquet")} - files.keys():
        where = f"{synthetic / min(strange)}: not listed in synthetic.json"
        raise DatasetError(f"{where}; run the stage generate again")
    shards["synthetic"] = [synthetic / name for name in sorted(files)]
    return {name: _read(paths, prepared, scratch / f"{name}.npy") for name, paths in shards.items()}


def origins(synthetic: pd.DataFrame, train: pd.DataFrame) -> Indices:
    """[M] the row of train that each synthetic image starts from, -1: none; see `origin_rows`."""
    made_for, own = (rows["label"].to_numpy(np.int64) for rows in (synthetic, train))
    return origin_rows(synthetic["parent_id"], made_for, train["image_id"].tolist(), own)


def choose_rows(rows: pd.DataFrame) -> NDArray[np.bool_]:
    """Which rows are measured: all of few; of many a sample in which rare classes stay.

    Of each class those with the smallest ids are taken; ids are hashes, so nothing else depends on
    them, and the sample changes little as a few images are added.
    """
    if len(rows) <= MOST_IMAGES:
        return np.ones(len(rows), bool)
    labels, order = rows["label"].to_numpy(), rows["image_id"].argsort().to_numpy()
    chosen = np.zeros(len(rows), bool)
    for label in np.unique(labels):
        own = order[labels[order] == label]
        share = math.ceil(len(own) * MOST_IMAGES / len(rows))
        chosen[own[: max(share, FEWEST_OF_CLASS)]] = True
    return chosen


def unfilled_classes(generated: Mapping[str, Any]) -> tuple[str, ...]:
    """Classes for which `generate` was asked for images and kept none, by synthetic.json."""
    wanted, accepted = generated["wanted"], generated["accepted"]
    return tuple(name for name, number in wanted.items() if number and not accepted[name])


def _read(paths: Sequence[Path], prepared: Prepared, file: Path) -> Part:
    shape = prepared.image_shape
    if not paths:
        rows = pd.DataFrame(columns=METADATA_COLUMNS)
        nothing = LabelledImages(np.empty((0, *shape), np.uint8), np.empty(0, np.int64))
        return Part(rows, nothing, rows)
    all_rows, classes = read_rows(paths)
    if classes != prepared.classes:
        raise DatasetError(
            f"{paths[0].parent}: made for classes {classes}, {prepared.folder} has "
            f"{prepared.classes}; run the stage generate again"
        )
    chosen = choose_rows(all_rows)
    images = read_images(paths, spill=file, chosen=chosen)
    if images.shape[1:] != shape:
        raise DatasetError(f"{paths[0].parent}: image of shape {images.shape[1:]}, not {shape}")
    rows = all_rows[chosen].reset_index(drop=True)
    return Part(rows, LabelledImages(images, rows["label"].to_numpy(np.int64)), all_rows)
