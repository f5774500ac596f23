"""The rows and images that `evaluate` reads: real ones by split, and the synthetic ones."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ganaug.errors import DatasetError
from ganaug.fileio import read_json, require_files
from ganaug.images import Labels, Rows
from ganaug.preparing.prepared import Prepared
from ganaug.quality.lineage import origin_rows
from ganaug.records import METADATA_COLUMNS, SPLITS
from ganaug.shards import read_images, read_rows


@dataclass(frozen=True)
class LabelledImages:
    """Images with labels; `images` may be a memory map, which workers open themselves."""

    images: NDArray[Any]  # [N, H, W, C] uint8, or [N, V, D] features of V views
    labels: Labels  # [N]


@dataclass(frozen=True)
class Part:
    """Rows and images of a split, or of the synthetic images."""

    rows: pd.DataFrame
    data: LabelledImages


Parts = Mapping[str, Part]  # "train", "val", "test", "synthetic"


def read_parts(prepared: Prepared, synthetic: Path, *, scratch: Path) -> dict[str, Part]:
    """All rows and images, these decoded into memory-mapped files below `scratch`.

    Raises:
        DatasetError: a shard is missing, or classes or image shapes differ.
    """
    shards = {split: prepared.shards(split) for split in SPLITS}
    files = read_json(synthetic / "synthetic.json")["files"]
    require_files(synthetic, files, listed_in="synthetic.json", stage="generate")
    shards["synthetic"] = [synthetic / name for name in sorted(files)]
    return {name: _read(paths, prepared, scratch / f"{name}.npy") for name, paths in shards.items()}


def origins(parts: Parts) -> Rows:
    """[M] the row of train that each synthetic image starts from, -1: none; see `origin_rows`."""
    train, synthetic = parts["train"], parts["synthetic"]
    parents, ids = synthetic.rows["parent_id"], train.rows["image_id"]
    return origin_rows(parents, synthetic.data.labels, ids, train.data.labels)


def unfilled_classes(generated: Mapping[str, Any]) -> tuple[str, ...]:
    """Classes for which `generate` was asked for images and kept none, by synthetic.json."""
    wanted, accepted = generated["wanted"], generated["accepted"]
    return tuple(name for name, number in wanted.items() if number and not accepted[name])


def _read(paths: Sequence[Path], prepared: Prepared, file: Path) -> Part:
    shape = prepared.image_shape
    if not paths:
        nothing = LabelledImages(np.empty((0, *shape), np.uint8), np.empty(0, np.int64))
        return Part(pd.DataFrame(columns=METADATA_COLUMNS), nothing)
    rows, classes = read_rows(paths)
    if classes != prepared.classes:
        raise DatasetError(
            f"{paths[0].parent}: made for classes {classes}, {prepared.folder} has "
            f"{prepared.classes}; run the stage generate again"
        )
    images = read_images(paths, spill=file)
    if images.shape[1:] != shape:
        raise DatasetError(f"{paths[0].parent}: image of shape {images.shape[1:]}, not {shape}")
    return Part(rows, LabelledImages(images, rows["label"].to_numpy(np.int64)))
