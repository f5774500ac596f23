import re

import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

from ganaug.cli import app
from ganaug.errors import GanaugError
from ganaug.gan.architecture import build_generator
from ganaug.gan.networks import Architecture
from ganaug.gan.snapshot import save_snapshot
from ganaug.publishing.export import LAYOUTS
from tests.versioned import git


@pytest.fixture
def snapshot(tmp_path):
    architecture = Architecture(
        family="r3", resolution=16, channels=1, num_classes=2, z_dim=8, widths=(16, 16), patch=2
    )
    torch.manual_seed(0)
    weights = build_generator(architecture).state_dict()
    folder = tmp_path / "generator"
    save_snapshot(
        weights, folder=folder, architecture=architecture, classes=("good", "bad"), training={}
    )
    return folder


def sample(snapshot, out, *options):
    arguments = ["sample", "--snapshot", str(snapshot), "--out", str(out), *options]
    return CliRunner().invoke(app, arguments, catch_exceptions=False)


def test_sample_draws_a_grid_of_one_class(snapshot, tmp_path):
    out = tmp_path / "grid.png"
    result = sample(snapshot, out, "--class", "bad", "--num", "16", "--seed", "3")
    assert result.exit_code == 0
    assert "16 images of bad, from seed 3" in result.output
    with Image.open(out) as grid:
        assert grid.size == (8 * 16, 2 * 16)


def test_sample_without_a_class_draws_a_row_for_each(snapshot, tmp_path):
    sample(snapshot, tmp_path / "grid.png", "--num", "5")
    with Image.open(tmp_path / "grid.png") as grid:
        assert grid.size == (5 * 16, 2 * 16)


def test_seeds_name_images(snapshot, tmp_path):
    sample(snapshot, tmp_path / "a.png", "--class", "good", "--num", "2", "--seed", "6")
    sample(snapshot, tmp_path / "b.png", "--class", "good", "--num", "1", "--seed", "7")
    with Image.open(tmp_path / "a.png") as a, Image.open(tmp_path / "b.png") as b:
        assert a.crop((16, 0, 32, 16)).tobytes() == b.tobytes()


def test_unknown_class_names_the_known_ones(snapshot, tmp_path):
    with pytest.raises(GanaugError, match="--class ugly: not one of good, bad"):
        sample(snapshot, tmp_path / "grid.png", "--class", "ugly")
    assert not (tmp_path / "grid.png").exists()


def test_an_unknown_format_names_the_known_ones(augmented, tmp_path):
    out = tmp_path / "out"
    arguments = ["export", "--dataset", str(augmented), "--out", str(out), "--format", "zip"]
    with pytest.raises(
        GanaugError, match="no format 'zip'; there are imagefolder, csv, webdataset"
    ):
        CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert not out.exists()


def test_help_names_every_format():
    shown = CliRunner().invoke(app, ["export", "--help"], env={"COLUMNS": "120"}).output
    assert all(layout in shown for layout in LAYOUTS)


def test_release_says_how_to_take_it_back(versioned, monkeypatch):
    monkeypatch.chdir(versioned)
    shown = CliRunner().invoke(app, ["release", "--bump", "minor"], catch_exceptions=False).output
    assert "made the tag augmented@v0.1.0" in shown
    undo = re.search(r"undo: git (tag -d \S+@v0\.1\.0)", shown)[1]
    git(versioned, *undo.split())
    assert git(versioned, "tag") == ""
