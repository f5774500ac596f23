"""What `generate` would hand on for the toy dataset: right, wrong, copied or no images."""

from pathlib import Path

import numpy as np
import pandas as pd

from ganaug.fileio import write_json
from ganaug.images import encode_png, pixel_id
from ganaug.preparing.prepared import Prepared
from ganaug.records import METADATA_COLUMNS
from ganaug.shards import describe_files, read_images, read_rows, write_shards
from tests.toy_source import CLASSES, toy_pixels

PER_CLASS = 16


def new_images(seed: int = 9) -> tuple[list[np.ndarray], list[int]]:
    """Images of both classes that are in no split."""
    rng = np.random.default_rng(seed)
    labels = [0, 1] * PER_CLASS
    return [toy_pixels(CLASSES[label], rng) for label in labels], labels


def copied_images(prepared: Prepared) -> tuple[list[np.ndarray], list[int]]:
    """The training images with a single pixel changed, so that no hash gives them away."""
    paths = prepared.shards("train")
    images = read_images(paths).copy()
    images[:, 0, 0, 0] ^= 1
    return list(images), read_rows(paths)[0]["label"].tolist()


def write_synthetic(
    folder: Path,
    prepared: Prepared,
    images: list[np.ndarray],
    labels: list[int],
    *,
    wanted: dict[str, int] | None = None,
    **columns: object,
) -> Path:
    """Write shards and synthetic.json; `columns` overrides what the rows say."""
    folder.mkdir(parents=True)
    train, _ = read_rows(prepared.shards("train"))
    facts = {"label": labels, "image_id": [pixel_id(image) for image in images]}
    facts |= {"source": "synthetic", "split": "train", "generator_id": "ab" * 32}
    facts |= {"seed": range(len(labels)), "label_confidence": 0.9, "realism": 1.0}
    facts |= {"nearest_id": train["image_id"].iloc[0], "nearest_distance": 1.0, "weight": 1.0}
    rows = pd.DataFrame(facts, columns=METADATA_COLUMNS).assign(**columns)
    content = [encode_png(image, synthetic=True) for image in images]
    paths = write_shards(
        rows, content, folder=folder, stem="train-synthetic", class_names=prepared.classes
    )
    counts = {name: labels.count(label) for label, name in enumerate(prepared.classes)}
    facts = {"generator_id": "ab" * 32, "strategy": "balance", "amount": 1.5}
    facts |= dict.fromkeys(("wanted", "drawn", "accepted"), counts)
    facts |= {"wanted": wanted or counts}
    facts |= {"rejected": {name: {"wrong_class": 0} for name in prepared.classes}}
    write_json({**facts, "files": describe_files(paths)}, folder / "synthetic.json")
    return folder
