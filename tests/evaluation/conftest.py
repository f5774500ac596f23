from collections.abc import Callable
from pathlib import Path

import pytest

from ganaug.preparing.prepared import Prepared, read_prepared
from tests.evaluation.toy_synthetic import write_synthetic


@pytest.fixture
def prepared(prepared_folder) -> Prepared:
    """The toy dataset: 16 x 16 px, two classes, 16 training images of each."""
    return read_prepared(prepared_folder)


@pytest.fixture
def synthetic(tmp_path, prepared) -> Callable[..., Path]:
    """Write data/synthetic from images and labels."""

    def write(images, labels, **columns):
        return write_synthetic(tmp_path / "synthetic", prepared, images, labels, **columns)

    return write
