"""A prepared dataset and accepted synthetic images of any number, for the tests of the review."""

import shutil
from pathlib import Path

import numpy as np

from ganaug.fileio import read_json, write_json
from ganaug.shards import read_rows
from tests.publishing.small_run import write_synthetic


def write_accepted(run: Path, number: int, *, side: int = 8) -> None:
    """Put `number` images with scores of their own in the place of a run's."""
    shutil.rmtree(run / "synthetic")
    train, _ = read_rows([run / "prepared" / "train-real-00000.parquet"])
    rng = np.random.default_rng(0)
    write_synthetic(
        run / "synthetic",
        list(rng.integers(0, 256, (number, side, side, 1), dtype=np.uint8)),
        [row % 2 for row in range(number)],
        train,
        label_confidence=rng.uniform(0.6, 1, number),
        realism=rng.uniform(1, 1.5, number),
        nearest_id=rng.choice(train["image_id"], number),
    )


def rename_class(run: Path, name: str) -> None:
    """Give class 0 another name where the page reads it."""
    for path in (run / "prepared" / "prepared.json", run / "synthetic" / "synthetic.json"):
        document = read_json(path)
        if "classes" in document:
            document["classes"][0] = name
        else:
            document["min_scores"][name] = document["min_scores"].pop("clear")
        write_json(document, path)
