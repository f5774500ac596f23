import shutil

import pytest

from ganaug.gan.origins import NEUTRAL, code_behind

DECIDING = (
    "quality.features",
    "quality.distances",
    "quality.validation",
    "rng",
    "config",
    "images",
)


@pytest.fixture
def package(tmp_path, repository):
    return shutil.copytree(repository / "src/ganaug", tmp_path / "ganaug")


def test_code_behind_training_holds_what_decides_and_nothing_else(package, repository):
    found = code_behind(repository / "pipeline/train.py", package)
    assert {*DECIDING, "shards", "train.py", "gan.step", "gan.r3", "gan.networks"} <= set(found)
    assert not NEUTRAL & set(found)
    assert not [name for name in found if name.startswith(("reporting", "downstream", "verdict"))]
    assert list(found) == sorted(found)


def test_every_neutral_module_is_there(package):
    assert all(package.joinpath(*name.split(".")).with_suffix(".py").exists() for name in NEUTRAL)


@pytest.mark.parametrize("name", DECIDING)
def test_change_of_one_module_shows_in_that_one_alone(package, repository, name):
    program = repository / "pipeline/train.py"
    before = code_behind(program, package)
    with package.joinpath(*name.split(".")).with_suffix(".py").open("a") as file:
        file.write("# changed\n")
    after = code_behind(program, package)
    assert {other for other in before if before[other] != after[other]} == {name}
