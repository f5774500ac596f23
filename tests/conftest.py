"""What all tests share: the shipped params, altered copies of them, and a small prepared dataset.

Nothing here touches the network, the clock or the working folder.
"""

import resource
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from ruamel.yaml import YAML

from ganaug.config import Params, load_params
from ganaug.preparing.prepare import prepare
from ganaug.preparing.prepared import Prepared, read_prepared
from tests.publishing.small_run import merge, write_run
from tests.small_pipeline import dvc, make_clone
from tests.toy_source import CLASSES, PER_CLASS, toy_source
from tests.toy_synthetic import write_synthetic
from tests.versioned import make_repo

REPOSITORY = Path(__file__).parents[1]


@pytest.fixture(autouse=True, scope="session")  # before any fixture that trains
def _one_thread() -> Iterator[None]:
    """Two pytest workers share two cores, and networks this small gain nothing from a thread."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def repository() -> Path:
    """The repository's root."""
    return REPOSITORY


@pytest.fixture(scope="session")
def shipped_params() -> Params:
    """params.yaml as it lies in the repository."""
    return load_params(REPOSITORY / "params.yaml")


@pytest.fixture
def write_params(tmp_path: Path) -> Callable[..., Path]:
    """Write the shipped params with changes, given as `{"prepare.resolution": 16}`, to a file."""

    def write(changes: dict[str, Any]) -> Path:
        yaml = YAML()
        document = yaml.load(REPOSITORY / "params.yaml")
        for place, value in changes.items():
            *sections, key = place.split(".")
            section = document
            for name in sections:
                section = section[name]
            section[key] = value
        path = tmp_path / "params.yaml"
        yaml.dump(document, path)
        return path

    return write


@pytest.fixture(scope="session")
def prepared_once(tmp_path_factory: pytest.TempPathFactory, shipped_params: Params) -> Path:
    folder = tmp_path_factory.mktemp("toy") / "prepared"
    params = shipped_params.prepare.model_copy(update={"resolution": 16, "channels": 1})
    prepare(params, seed=0, out=folder, source=toy_source())
    counts = read_prepared(folder).counts
    assert counts == {s: dict.fromkeys(CLASSES, n) for s, n in PER_CLASS.items()}
    return folder


@pytest.fixture
def prepared_folder(prepared_once: Path) -> Path:
    """A prepared dataset, 16 x 16 grey, two classes in all splits; read it, don't change it."""
    return prepared_once


@pytest.fixture
def prepared_copy(prepared_once: Path, tmp_path: Path) -> Path:
    """The same, to be changed or broken."""
    return shutil.copytree(prepared_once, tmp_path / "prepared")


@pytest.fixture(scope="session")
def _run_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("small") / "run"
    write_run(folder)
    return folder


@pytest.fixture(scope="session")
def _augmented_once(_run_once: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("small") / "augmented"
    merge(_run_once, out=folder)
    return folder


@pytest.fixture
def small_run(_run_once: Path, tmp_path: Path) -> Path:
    """Folder with prepared/, synthetic/ and verdict.json: 2 classes, 8 x 8 px grey images."""
    return shutil.copytree(_run_once, tmp_path / "run")


@pytest.fixture
def augmented(_augmented_once: Path, small_run: Path) -> Path:
    """The merged dataset of that run, synthetic rows shipped."""
    return shutil.copytree(_augmented_once, small_run / "augmented")


@pytest.fixture(scope="session")
def _repo_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_repo(tmp_path_factory.mktemp("versioned") / "repo")


@pytest.fixture
def versioned(_repo_once: Path, tmp_path: Path) -> Path:
    """A repository with that dataset under git and DVC."""
    return shutil.copytree(_repo_once, tmp_path / "repo")


@pytest.fixture(scope="session")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clone with a tiny pipeline that has not run."""
    folder = tmp_path_factory.mktemp("clone") / "ganaug"
    make_clone(folder)
    return folder


@pytest.fixture(scope="session")
def finished(clone: Path) -> tuple[Path, float]:
    """The clone after `dvc repro`, and the processor seconds that it took."""
    before = _processor_seconds()
    result = dvc(clone, "repro")
    assert result.returncode == 0, result.stdout + result.stderr
    return clone, _processor_seconds() - before


def _processor_seconds() -> float:
    """Of all processes that this one has waited for."""
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    return spent.ru_utime + spent.ru_stime


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
