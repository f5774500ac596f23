import json

import pytest
import torch

from ganaug.errors import SnapshotError
from ganaug.fileio import sha256_file
from ganaug.gan.architecture import build_generator
from ganaug.gan.sampling import sample
from ganaug.gan.snapshot import load_snapshot, save_snapshot


@pytest.fixture
def folder(tmp_path, architecture):
    torch.manual_seed(0)
    save_snapshot(
        build_generator(architecture).state_dict(),
        folder=tmp_path / "generator",
        architecture=architecture,
        classes=("dark", "bright"),
        training={"fingerprint": "f", "best": {"kid": 0.5}},
    )
    return tmp_path / "generator"


def test_round_trip_gives_the_same_images(folder, architecture):
    torch.manual_seed(0)
    original = build_generator(architecture).eval()
    snapshot = load_snapshot(folder)
    assert snapshot.classes == ("dark", "bright")
    assert snapshot.architecture == architecture
    assert snapshot.generator_id == sha256_file(folder / "generator.safetensors")
    expected = sample(original, [0, 1], [1, 2])
    assert (sample(snapshot.generator, [0, 1], [1, 2]) == expected).all()


def test_changed_weights_are_refused(folder):
    weights = folder / "generator.safetensors"
    *others, last = weights.read_bytes()
    weights.write_bytes(bytes([*others, last ^ 1]))
    with pytest.raises(SnapshotError, match=r"generator\.safetensors: does not match"):
        load_snapshot(folder)


def test_missing_weights_are_named(folder):
    (folder / "generator.safetensors").unlink()
    with pytest.raises(SnapshotError, match="no such file; run the stage train"):
        load_snapshot(folder)


def test_unknown_family_is_named(folder):
    description = json.loads((folder / "generator.json").read_text())
    description["architecture"]["family"] = "r9"
    (folder / "generator.json").write_text(json.dumps(description))
    with pytest.raises(SnapshotError, match="'r9' is not one of"):
        load_snapshot(folder)
