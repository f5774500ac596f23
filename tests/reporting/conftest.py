"""A small run on disk, up to the evaluation."""

from pathlib import Path

import pytest

from ganaug.images import encode_png
from ganaug.reporting import illustrations
from tests.publishing.small_run import toy_images, write_curves, write_pairs, write_run


@pytest.fixture
def small_run(tmp_path: Path) -> Path:
    """Folder with prepared/, synthetic/, train/ and evaluate/: 2 classes, 8 x 8 px grey images."""
    write_run(tmp_path / "run")
    write_curves(tmp_path / "run" / "train")
    write_pairs(tmp_path / "run")
    return tmp_path / "run"


@pytest.fixture
def no_drawing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A tiny image in place of every figure: drawing takes seconds."""
    png = encode_png(toy_images(1, 0)[0])
    for name in ("mosaic", "reject_chart", "training_curves", "uplift_chart"):
        monkeypatch.setattr(illustrations, name, lambda *_, **__: png)
