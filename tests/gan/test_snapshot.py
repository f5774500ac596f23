import json
from dataclasses import replace

import pytest
import torch

from ganaug.errors import SnapshotError
from ganaug.fileio import read_json, sha256_file, write_json
from ganaug.gan.architecture import build_generator
from ganaug.gan.sampling import sample
from ganaug.gan.snapshot import load_snapshot, save_snapshot
from tests.refusal import refuses


@pytest.fixture
def save(tmp_path):
    """Save a generator; its folder."""

    def save(generator, architecture, **options):
        options |= {"classes": ("dark", "bright"), "training": {"best": {"kid": 0.5}}}
        folder = tmp_path / "generator"
        save_snapshot(generator.state_dict(), folder=folder, architecture=architecture, **options)
        return folder

    return save


def test_round_trip_gives_the_same_images(save, architecture):
    original = build_generator(architecture).eval()
    folder = save(original, architecture)
    snapshot = load_snapshot(folder)
    assert (snapshot.classes, snapshot.architecture) == (("dark", "bright"), architecture)
    assert snapshot.generator_id == sha256_file(folder / "generator.safetensors")
    expected = sample(original, [0, 1], [1, 2])
    assert (sample(snapshot.generator, [0, 1], [1, 2]) == expected).all()


def test_sound_comes_back_and_images_do_not_speak_of_it(save, architecture):
    G, sound = build_generator(architecture), {"scale": {"seconds": 1.0}}
    assert load_snapshot(save(G, architecture, sound=sound)).sound == sound
    folder = save(G, architecture)
    assert "sound" not in json.loads((folder / "generator.json").read_text())
    assert load_snapshot(folder).sound is None


def test_parents_are_named_by_class_and_come_back(save, architecture):
    G = build_generator(architecture)
    rows = G.marks.rows
    rows[0, 0::2] = 3
    rows[1] = torch.arange(len(rows[1])) % 5
    ids = [f"id{i}" for i in range(5)]
    folder = save(G, architecture, image_ids=ids)
    parents = json.loads((folder / "generator.json").read_text())["parents"]
    assert parents["dark"][:3] == ["id3", None, "id3"]
    assert parents["bright"][:6] == [*ids, "id0"]
    snapshot = load_snapshot(folder)
    labels, seeds = [0, 1] * 40, list(range(80))
    given = snapshot.parent_ids(labels, seeds)
    assert set(given[::2]) == {"id3", None}
    assert set(given[1::2]) == set(ids)
    assert given[3:5] == snapshot.parent_ids(labels[3:5], seeds[3:5])


def test_family_that_builds_on_nothing_has_no_parents(save, architecture):
    plain = replace(architecture, family="mlp", patch=1)
    folder = save(build_generator(plain), plain)
    assert json.loads((folder / "generator.json").read_text())["parents"] is None
    assert load_snapshot(folder).parent_ids([0, 1], [1, 2]) == [None, None]


def test_snapshot_that_is_older_changed_or_torn_is_refused(save, architecture):
    folder = save(build_generator(architecture), architecture)
    path, weights = folder / "generator.json", folder / "generator.safetensors"
    whole, described = path.read_text(), read_json(path)
    for change, reason in (
        ({"format": 3}, "format 3 is not 4; train again"),
        ({"architecture": described["architecture"] | {"family": "r9"}}, "'r9' is not one of"),
    ):
        write_json(described | change, path)
        refuses(SnapshotError, reason, load_snapshot, folder)
    path.write_text(whole)
    *others, last = weights.read_bytes()
    weights.write_bytes(bytes([*others, last ^ 1]))
    refuses(SnapshotError, r"generator\.safetensors: does not match", load_snapshot, folder)
    weights.unlink()
    refuses(SnapshotError, "no such file; run the stage train", load_snapshot, folder)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"architecture": None}, "architecture not understood"),
        ({"architecture": {"widths": [2**40, 2**40]}}, r"not all in 1\.\."),
        ({"architecture": {"widths": [60_000] * 3}}, "does not describe"),  # terabytes
        ({"architecture": {"resolution": 65_536}}, "does not describe"),
        ({"architecture": {"z_dim": -1}}, r"not all in 1\.\."),
        ({"architecture": {"family": ["r3"]}}, "is not one of"),
        ({"classes": ["../../etc", "bright"]}, "are not 2 names"),
        ({"classes": ["dark"]}, "are not 2 names"),
        ({"parents": 3}, "does not describe"),
        ({"weights_sha256": None}, "does not match"),
    ],
)
def test_a_hostile_description_is_refused_in_one_line(save, architecture, change, reason):
    folder = save(build_generator(architecture), architecture, image_ids=["a"])
    described = read_json(folder / "generator.json")
    if isinstance(change.get("architecture"), dict):
        change = {"architecture": described["architecture"] | change["architecture"]}
    write_json(described | change, folder / "generator.json")
    refuses(SnapshotError, reason, load_snapshot, folder)
