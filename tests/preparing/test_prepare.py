import hashlib
import os
import signal
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ganaug.errors import DatasetError
from ganaug.fileio import read_json
from ganaug.images import decode_png, encode_png, pixel_id
from ganaug.parallel import map_unordered
from ganaug.preparing.prepare import prepare
from ganaug.shards import iter_images, read_rows
from ganaug.sources.base import Source
from tests.refusal import refuses
from tests.toy_source import toy_source


@pytest.fixture
def params(shipped_params):
    return shipped_params.prepare.model_copy(update={"resolution": 16, "max_reject_fraction": 0.2})


@pytest.fixture
def spoilt():
    """The toy images, of which one is broken, two conflict and one is twice there."""
    source = toy_source()
    images = list(source.images)
    left, right = images[:16], images[16:32]
    images[0] = replace(left[0], content=b"broken")
    images[17] = replace(right[1], content=left[1].content)
    images[18] = replace(right[2], content=right[3].content)
    return Source(source.facts, images)


def run(params, folder, source=None, **options):
    return prepare(params, out=folder, source=source, **({"seed": 0} | options))


def shards_of(folder, pattern="*-*.parquet"):
    return sorted(folder.glob(pattern))


def rejected_in(folder):
    """Rows of rejected.parquet as tuples (file, reason, detail)."""
    return list(pd.read_parquet(folder / "rejected.parquet").itertuples(index=False, name=None))


def digests(folder):
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in folder.iterdir()}


def test_every_image_read_is_accepted_or_rejected_with_its_reason(params, spoilt, tmp_path):
    prepared, metrics = run(params, tmp_path / "out", spoilt)
    document = read_json(tmp_path / "out" / "prepared.json")
    assert document["num_images"] == {"read": 64, "accepted": 60, "rejected": 4, "left_out": 0}
    assert {file: reason for file, reason, _ in rejected_in(tmp_path / "out")} == {
        "train/left/00.png": "unreadable",
        "train/left/01.png": "label_conflict",
        "train/right/01.png": "label_conflict",
        "train/right/03.png": "duplicate",
    }
    assert metrics["num_rejected"] == {"duplicate": 1, "label_conflict": 2, "unreadable": 1}
    rows, _ = read_rows(shards_of(tmp_path / "out"))
    assert len(rows) == 60 == sum(sum(c.values()) for c in prepared.counts.values())


def test_rows_are_sorted_and_name_their_image_its_label_and_group(params, tmp_path):
    prepared, _ = run(params, tmp_path / "out", toy_source())
    label_of = {
        pixel_id(decode_png(image.content)): prepared.classes.index(image.class_name)
        for image in toy_source().images
    }
    for split in ("train", "val", "test"):
        rows, _ = read_rows(prepared.shards(split))
        ids = rows["image_id"].tolist()
        assert ids == sorted(ids)
        assert [pixel_id(x) for x in iter_images(prepared.shards(split))] == ids
        assert rows["label"].tolist() == [label_of.pop(name) for name in ids]
        assert set(rows["weight"]) == {1}
        assert set(rows["group_id"].str.split("-").str[0]) == {split}
    assert label_of == {}
    assert [note.split(";")[0] for note in prepared.notes] == [
        f"class '{name}' has 32 distinct images" for name in ("left", "right")
    ]


def test_same_input_same_bytes_whatever_the_workers(params, tmp_path):
    run(params, tmp_path / "a", toy_source())
    run(params, tmp_path / "b", toy_source(), map_tasks=partial(map_unordered, num_workers=3))
    assert digests(tmp_path / "a") == digests(tmp_path / "b")


class DeadlyPath(type(Path())):
    """A file that kills the first process to read it."""

    def read_bytes(self):
        with suppress(FileExistsError):
            self.with_suffix(".read").touch(exist_ok=False)
            os.kill(os.getpid(), signal.SIGKILL)
        return super().read_bytes()


@pytest.mark.parametrize(
    "backend", ["loky", *(pytest.param(b, marks=pytest.mark.slow) for b in ("ray", "dask"))]
)
def test_same_bytes_on_every_backend_though_a_worker_is_killed(
    params, tmp_path, backend, monkeypatch
):
    monkeypatch.setattr("ganaug.preparing.reading.IMAGES_PER_BATCH", 10)
    source = toy_source()
    images = list(source.images)
    deadly = DeadlyPath(tmp_path / "deadly.png")
    deadly.write_bytes(images[5].content)
    run(params, tmp_path / "here", Source(source.facts, images))
    images[5] = replace(images[5], content=deadly)
    cluster = partial(map_unordered, num_workers=2, backend=backend)
    run(params, tmp_path / "there", Source(source.facts, images), map_tasks=cluster)
    assert deadly.with_suffix(".read").exists()
    assert digests(tmp_path / "here") == digests(tmp_path / "there")


def test_images_without_a_group_are_their_own_and_the_seed_splits_them(params, tmp_path):
    source = toy_source()
    images = [replace(image, group=None, split=None) for image in source.images]
    found = []
    for seed in (0, 1):
        prepared, _ = run(params, tmp_path / str(seed), Source(source.facts, images), seed=seed)
        rows, _ = read_rows(prepared.shards("test"))
        assert rows["group_id"].tolist() == rows["image_id"].tolist()
        found.append(set(rows["image_id"]))
    assert found[0] != found[1]


def test_groups_are_listed_when_few_and_counted_when_many(params, tmp_path, monkeypatch):
    run(params, tmp_path / "few", toy_source())
    few = read_json(tmp_path / "few" / "prepared.json")
    assert few["groups"]["val"] == {"val-0": 8, "val-1": 8}
    assert few["num_groups"] == {"train": 4, "val": 2, "test": 2}
    monkeypatch.setattr("ganaug.preparing.prepare.LISTED_GROUPS", 8)
    run(params, tmp_path / "many", toy_source())
    many = read_json(tmp_path / "many" / "prepared.json")
    assert "groups" not in many
    assert many["num_groups"] == few["num_groups"]


def test_too_many_rejected_write_nothing_and_leave_the_old_folder(params, spoilt, tmp_path):
    out = tmp_path / "out"
    run(params, out, toy_source())
    before = digests(out)
    strict = params.model_copy(update={"max_reject_fraction": 0.05})
    match = r"4 of 64 images are unusable.*train/left/00\.png"
    refuses(DatasetError, match, run, strict, out, spoilt)
    assert digests(out) == before
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


def test_resolution_and_channels_are_as_asked(params, tmp_path):
    wide = params.model_copy(update={"resolution": 32, "channels": 3})
    prepared, _ = run(wide, tmp_path / "out", toy_source(channels=3))
    assert (prepared.resolution, prepared.channels) == (32, 3)
    assert {x.shape for x in iter_images(prepared.shards("test"))} == {(32, 32, 3)}


def test_colours_that_are_one_grey_are_one_image(params, tmp_path):
    source = toy_source()
    colour, grey = np.zeros((2, 16, 16, 3), np.uint8)
    colour[4:8], grey[4:8] = (100, 200, 50), (153, 153, 153)
    images = list(source.images)
    first, second = images[:2]
    images[0] = replace(first, content=encode_png(colour))
    images[1] = replace(second, content=encode_png(grey))
    run(params, tmp_path / "out", Source(source.facts, images))
    detail = f"same pixels as {first.name}"
    assert rejected_in(tmp_path / "out") == [(second.name, "duplicate", detail)]


def test_training_images_left_out_are_counted_and_in_no_shard(params, tmp_path):
    fewer = params.model_copy(update={"train_fraction": 0.75, "keep_train": {"right": 8}})
    whole, _ = run(params, tmp_path / "whole", toy_source())
    prepared, metrics = run(fewer, tmp_path / "fewer", toy_source())
    assert prepared.counts["train"] == {"left": 12, "right": 8}
    assert metrics["num_left_out"] == {"left": 4, "right": 8}
    assert metrics["num_images"] == {"read": 64, "accepted": 52, "rejected": 0, "left_out": 12}
    assert "leave 12 training images out, drawn by a hash: left 4, right 8" in prepared.notes[-1]
    rows, all_rows = (read_rows(shards_of(p.folder))[0] for p in (prepared, whole))
    assert len(rows) == 52
    assert set(rows["image_id"]) < set(all_rows["image_id"])
    for split in ("val", "test"):
        for path in whole.shards(split):
            assert digests(prepared.folder)[path.name] == digests(whole.folder)[path.name]
