import shutil

import pytest

from ganaug.gan.imported_code import NEUTRAL, imported_code

DECIDING = "quality.features", "quality.distances", "quality.validation", "rng", "config", "images"


@pytest.fixture
def package(tmp_path, repository):
    return shutil.copytree(repository / "src/ganaug", tmp_path / "ganaug")


def file_of(package, name):
    return package.joinpath(*name.split(".")).with_suffix(".py")


def test_the_code_of_training_holds_what_decides_and_nothing_else(package, repository):
    found = imported_code(repository / "pipeline/train.py", package)
    assert {*DECIDING, "shards", "train.py", "gan.step", "gan.r3", "gan.networks"} <= set(found)
    assert not NEUTRAL & set(found)
    assert not [name for name in found if name.startswith(("reporting", "downstream", "verdict"))]
    assert list(found) == sorted(found)
    assert all(file_of(package, name).exists() for name in NEUTRAL)


def test_change_of_one_module_shows_in_that_one_alone(package, repository):
    program = repository / "pipeline/train.py"
    before = imported_code(program, package)
    for name in DECIDING:
        with file_of(package, name).open("a") as file:
            file.write("# changed\n")
        after = imported_code(program, package)
        assert {other for other in before if before[other] != after[other]} == {name}
        before = after
