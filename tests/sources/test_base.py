import importlib.metadata
from pathlib import Path

import pytest

from ganaug.errors import SourceError
from ganaug.sources.base import installed


def test_versions_are_those_installed():
    assert installed("scikit-learn").version == importlib.metadata.version("scikit-learn")


def test_the_files_of_a_package_are_found():
    assert Path(installed("elpv-dataset").locate_file("elpv_dataset/data/labels.csv")).is_file()


def test_a_missing_package_says_how_to_install_it():
    with pytest.raises(SourceError, match="pip install no-such-9"):
        installed("no-such-9")
