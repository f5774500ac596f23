"""A small run on disk, written as the stages before `merge` write it."""

from pathlib import Path

import pytest

from tests.publishing.small_run import write_run


@pytest.fixture
def small_run(tmp_path: Path) -> Path:
    """Folder with prepared/, synthetic/ and verdict.json: 2 classes, 8 x 8 px grey images."""
    write_run(tmp_path / "run")
    return tmp_path / "run"
