"""What `generate` would hand on for the toy dataset: right, wrong, copied or no images."""

from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.small_run import PROVENANCE, synthetic_document
from ganaug.fileio import write_json
from ganaug.images import encode_png, pixel_id
from ganaug.preparing.prepared import Prepared
from ganaug.records import METADATA_COLUMNS
from ganaug.shards import read_images, read_rows, write_shards
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
    facts = {"label": labels, "image_id": [pixel_id(image) for image in images], **PROVENANCE}
    facts |= {"seed": range(len(labels)), "nearest_id": train["image_id"].iloc[0]}
    rows = pd.DataFrame(facts, columns=METADATA_COLUMNS).assign(**columns)
    content = [encode_png(image, synthetic=True) for image in images]
    paths = write_shards(
        rows, content, folder=folder, stem="train-synthetic", class_names=prepared.classes
    )
    counts = {name: labels.count(label) for label, name in enumerate(prepared.classes)}
    document = synthetic_document(counts, paths, wanted=wanted or counts)
    write_json(document, folder / "synthetic.json")
    return folder
