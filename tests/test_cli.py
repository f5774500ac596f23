import re
import wave

import numpy as np
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

from ganaug.cli import app
from ganaug.errors import GanaugError
from ganaug.fileio import read_json, write_json, write_sealed
from ganaug.gan.architecture import build_generator
from ganaug.gan.networks import Architecture
from ganaug.gan.snapshot import save_snapshot
from ganaug.images import is_marked_synthetic
from ganaug.publishing.export import LAYOUTS
from tests.refusal import refuses
from tests.versioned import git


def save(folder, family):
    architecture = Architecture(
        family=family, resolution=16, channels=1, num_classes=2, z_dim=8, widths=(16, 16), patch=2
    )
    torch.manual_seed(0)
    weights = build_generator(architecture).state_dict()
    if family == "translator":
        weights["to_mask.weight"] *= 30  # some patches on, some off
    facts = {"architecture": architecture, "classes": ("good", "bad"), "training": {}}
    ids = ["0" * 32]  # untrained, it starts from its empty first background
    save_snapshot(weights, folder=folder / "generator", image_ids=ids, **facts)
    return folder / "generator"


@pytest.fixture
def snapshot(tmp_path):
    return save(tmp_path, "r3")


@pytest.fixture
def photo(tmp_path):
    """A bright photograph, larger than the generator's images."""
    path = tmp_path / "photo.png"
    Image.new("RGB", (40, 40), (200, 200, 200)).save(path)
    return path


@pytest.fixture
def singer(snapshot, tmp_path):
    """The same of spectrograms."""
    scale = {"resolution": 16, "seconds": 0.1, "sample_rate": 8000, "decibels": 80}
    path = tmp_path / "generator" / "generator.json"
    write_json(read_json(path) | {"sound": {"scale": scale, "round_trip": {}}}, path)
    return snapshot


def ganaug(*arguments):
    return CliRunner().invoke(app, list(map(str, arguments)), catch_exceptions=False)


def sample(snapshot, out, *options):
    return ganaug("sample", "--snapshot", snapshot, "--out", out, *options)


def test_sample_draws_a_grid_of_one_class_or_a_row_for_each(snapshot, tmp_path):
    out = tmp_path / "grid.png"
    result = sample(snapshot, out, "--class", "bad", "--num", 16, "--seed", 3)
    assert result.exit_code == 0
    assert "16 images of bad, from seed 3" in result.output
    with Image.open(out) as grid:
        assert grid.size == (8 * 16, 2 * 16)
    sample(snapshot, out, "--num", 5)
    with Image.open(out) as grid:
        assert grid.size == (5 * 16, 2 * 16)


def test_seeds_name_images(snapshot, tmp_path):
    sample(snapshot, tmp_path / "a.png", "--class", "good", "--num", "2", "--seed", "6")
    sample(snapshot, tmp_path / "b.png", "--class", "good", "--num", "1", "--seed", "7")
    with Image.open(tmp_path / "a.png") as a, Image.open(tmp_path / "b.png") as b:
        assert a.crop((16, 0, 32, 16)).tobytes() == b.tobytes()


def test_unknown_class_names_the_known_ones(snapshot, tmp_path):
    out, match = tmp_path / "grid.png", "--class ugly: not one of good, bad"
    refuses(GanaugError, match, sample, snapshot, out, "--class", "ugly")
    assert not out.exists()


def test_an_unknown_format_names_the_known_ones_and_so_does_help(augmented, tmp_path):
    out = tmp_path / "out"
    arguments = ["export", "--dataset", augmented, "--out", out, "--format", "zip"]
    match = f"no format 'zip'; there are {', '.join(LAYOUTS)}"
    refuses(GanaugError, match, ganaug, *arguments)
    assert not out.exists()
    shown = CliRunner().invoke(app, ["export", "--help"], env={"COLUMNS": "120"}).output
    assert all(layout in shown for layout in LAYOUTS)


def test_release_says_how_to_take_it_back(versioned, monkeypatch):
    monkeypatch.chdir(versioned)
    shown = ganaug("release", "--bump", "minor").output
    assert "made the tag augmented@v0.1.0" in shown
    undo = re.search(r"undo: git (tag -d \S+@v0\.1\.0)", shown)[1]
    git(versioned, *undo.split())
    assert git(versioned, "tag") == ""


def translate(snapshot, photo, out, *options, to="bad"):
    return ganaug("translate", photo, "--to", to, "--out", out, "--snapshot", snapshot, *options)


def test_translate_shows_the_photo_its_translations_and_what_is_new(photo, tmp_path):
    snapshot, out = save(tmp_path, "translator"), tmp_path / "grid.png"
    found = translate(snapshot, photo, out, "--num", "3", "--seed", "5")
    assert "3 images of bad" in found.output
    assert is_marked_synthetic(out.read_bytes())
    with Image.open(out) as grid:
        pixels = np.asarray(grid)
    assert pixels.shape == (2 * 16, 4 * 16)
    assert (pixels[:16, :16] == 200).all()
    images, masks = pixels[:16, 16:].astype(int), pixels[16:, 16:]
    assert (images != 200).any()
    assert 0 < (masks == 0).mean() < 1
    assert (images[masks == 0] == 200).all()
    translate(snapshot, photo, tmp_path / "one.png", "--num", "1", "--seed", "6")
    with Image.open(tmp_path / "one.png") as grid:
        assert (np.asarray(grid)[:16, 16:] == pixels[:16, 32:48]).all()


def test_translate_refuses_in_one_line_what_it_cannot_do(snapshot, photo, tmp_path):
    out, text = tmp_path / "grid.png", tmp_path / "notes.png"
    text.write_text("no image")
    refuses(GanaugError, "r3 starts from noise", translate, snapshot, photo, out)
    other = save(tmp_path, "translator")
    refuses(GanaugError, "--to ugly: not one of good, bad", translate, other, photo, out, to="ugly")
    refuses(GanaugError, "notes.png: not an image file", translate, other, text, out)
    facts = read_json(other / "generator.json") | {"sound": {"scale": {}}}
    write_sealed(facts, other / "generator.json")
    refuses(GanaugError, "makes sound, and a photo is none", translate, other, photo, out)
    assert not out.exists()


def test_sample_writes_the_sounds_one_after_another(singer, tmp_path):
    out = tmp_path / "out.wav"
    assert "6 images of good, bad" in sample(singer, out, "--num", "3").output
    with wave.open(str(out)) as file:
        assert (file.getframerate(), file.getnframes()) == (8000, 6 * 800)
    sample(singer, tmp_path / "out.png", "--num", "3")
    with Image.open(tmp_path / "out.png") as grid:
        assert grid.size == (48, 32)


def test_sample_refuses_sound_of_a_generator_of_images(snapshot, tmp_path):
    out = tmp_path / "out.wav"
    refuses(GanaugError, "makes images, not sound", sample, snapshot, out)
    assert not out.exists()
