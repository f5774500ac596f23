import json
from dataclasses import replace

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


def test_parents_are_named_by_class_and_come_back(tmp_path, architecture):
    G = build_generator(architecture)
    rows = G.marks.rows
    rows[0, 0::2] = 3
    rows[1] = torch.arange(len(rows[1])) % 5
    ids = [f"id{i}" for i in range(5)]
    save_snapshot(
        G.state_dict(),
        folder=tmp_path / "generator",
        architecture=architecture,
        classes=("dark", "bright"),
        training={},
        image_ids=ids,
    )
    parents = json.loads((tmp_path / "generator/generator.json").read_text())["parents"]
    assert parents["dark"][:3] == ["id3", None, "id3"]
    assert parents["bright"][:6] == [*ids, "id0"]
    snapshot = load_snapshot(tmp_path / "generator")
    labels, seeds = [0, 1] * 40, list(range(80))
    given = snapshot.parent_ids(labels, seeds)
    assert set(given[::2]) == {"id3", None}
    assert set(given[1::2]) == set(ids)
    assert given[3:5] == snapshot.parent_ids(labels[3:5], seeds[3:5])


def test_family_that_builds_on_nothing_has_no_parents(tmp_path, architecture):
    plain = replace(architecture, family="mlp", patch=1)
    save_snapshot(
        build_generator(plain).state_dict(),
        folder=tmp_path / "plain",
        architecture=plain,
        classes=("dark", "bright"),
        training={},
    )
    assert json.loads((tmp_path / "plain/generator.json").read_text())["parents"] is None
    assert load_snapshot(tmp_path / "plain").parent_ids([0, 1], [1, 2]) == [None, None]


def test_snapshot_of_an_older_format_is_refused(folder):
    path = folder / "generator.json"
    path.write_text(path.read_text().replace('"format": 4', '"format": 3'))
    with pytest.raises(SnapshotError, match="format 3 is not 4; train again"):
        load_snapshot(folder)


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
