"""A small run on disk, written as the stages before `merge` write it."""

from pathlib import Path

import pytest

from ganaug.publishing.merge import merge_dataset
from tests.publishing.small_run import verdict, write_run


@pytest.fixture
def small_run(tmp_path: Path) -> Path:
    """Folder with prepared/, synthetic/ and verdict.json: 2 classes, 8 x 8 px grey images."""
    write_run(tmp_path / "run")
    return tmp_path / "run"


@pytest.fixture
def augmented(small_run: Path) -> Path:
    """The merged dataset of that run, synthetic rows shipped."""
    merge_dataset(
        prepared=small_run / "prepared",
        synthetic=small_run / "synthetic",
        verdict=verdict("ship"),
        out=small_run / "augmented",
        name="toy-augmented",
        on_reject="real_only",
    )
    return small_run / "augmented"
