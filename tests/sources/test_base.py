import importlib.metadata
import importlib.util
from pathlib import Path

import pytest

from ganaug.errors import SourceError
from ganaug.sources.base import package_folder, package_version


def test_versions_are_those_installed():
    assert package_version("scikit-learn") == importlib.metadata.version("scikit-learn")


def test_a_package_is_found_without_importing_it():
    folder = package_folder("elpv_dataset", package="elpv-dataset")
    assert isinstance(folder, Path)
    assert (folder / "data" / "labels.csv").is_file()


@pytest.mark.parametrize(
    "look",
    [lambda: package_version("no-such-9"), lambda: package_folder("no9", package="no-such-9")],
)
def test_a_missing_package_says_how_to_install_it(look):
    with pytest.raises(SourceError, match="pip install no-such-9"):
        look()


def test_a_module_without_a_folder_is_no_dataset(monkeypatch):
    assert importlib.util.find_spec("this") is not None
    with pytest.raises(SourceError, match="pip install zen"):
        package_folder("this", package="zen")
