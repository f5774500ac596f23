import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ganaug import shards
from ganaug.errors import DatasetError
from ganaug.fileio import sha256_file
from ganaug.images import encode_png, pixel_id
from ganaug.records import METADATA_COLUMNS
from ganaug.shards import (
    count_rows,
    describe_files,
    iter_images,
    pngs_of,
    read_images,
    read_rows,
    write_shards,
)
from tests.refusal import refuses

CLASSES = ("cat", "dog")


@pytest.fixture
def images():
    pixels = np.random.default_rng(0).integers(0, 256, (12, 16, 16, 1), dtype=np.uint8)
    assert len({pixel_id(image) for image in pixels}) == 12
    return pixels


@pytest.fixture
def rows(images):
    return rows_of(images)


def rows_of(images):
    table = pd.DataFrame({"image_id": [pixel_id(image) for image in images]})
    table = table.assign(label=table.index % 2, source="real", split="train", weight=1.0)
    return table.assign(group_id=[f"g{i // 3}" for i in table.index]).reindex(
        columns=METADATA_COLUMNS
    )


def write(rows, images, folder, stem="train-real", classes=CLASSES):
    folder.mkdir(exist_ok=True)
    pngs = [encode_png(image) if len(image) else b"" for image in images]
    return write_shards(rows, pngs, folder=folder, stem=stem, class_names=classes)


def test_rows_images_and_class_names_come_back_in_order(rows, images, tmp_path):
    paths = write(rows, images, tmp_path)
    back, names = read_rows(paths)
    assert names == CLASSES
    assert back["image_id"].tolist() == rows["image_id"].tolist()
    assert back["label"].tolist() == rows["label"].tolist()
    assert back["generator_id"].isna().all()
    assert np.array_equal(read_images(paths), images)
    mapped = read_images(paths, spill=tmp_path / "images.npy")
    assert isinstance(mapped, np.memmap)
    assert np.array_equal(mapped, images)


def test_images_that_differ_in_shape_or_are_torn_are_refused(rows, images, tmp_path):
    larger = write(rows, [*images[:-1], np.zeros((8, 8, 1), np.uint8)], tmp_path / "a")
    match = r"has shape \(8, 8, 1\), the first \(16, 16, 1\)"
    refuses(DatasetError, match, read_images, larger)
    torn = write(rows, [*images[:-1], b""], tmp_path / "b")
    refuses(DatasetError, "not a PNG that can be decoded; run the stage", read_images, torn)


def test_equal_rows_give_equal_bytes(rows, images, tmp_path):
    first = write(rows, images, tmp_path / "a")
    second = write(rows.set_index(pd.Index(range(100, 112))), images, tmp_path / "b")
    assert [p.read_bytes() for p in first] == [p.read_bytes() for p in second]


def test_large_content_is_cut_into_numbered_shards(rows, images, tmp_path, monkeypatch):
    monkeypatch.setattr(shards, "TARGET_BYTES", 5 * len(encode_png(images[0])))
    monkeypatch.setattr(shards, "ROWS_PER_GROUP", 2)
    paths = write(rows, images, tmp_path)
    assert [p.name for p in paths] == [f"train-real-{i:05d}.parquet" for i in range(len(paths))]
    assert len(paths) >= 3
    assert all(1 <= len(read_rows([path])[0]) <= 5 for path in paths)
    ids = read_rows(paths)[0]["image_id"].tolist()
    assert sorted(ids) == sorted(rows["image_id"])
    assert [pixel_id(image) for image in iter_images(paths)] == ids


def digests(paths):
    return {sha256_file(path) for path in paths}


def test_a_row_that_comes_or_goes_touches_one_shard(tmp_path, monkeypatch):
    images = np.random.default_rng(1).integers(0, 256, (60, 16, 16, 1), dtype=np.uint8)
    table = rows_of(images)
    monkeypatch.setattr(shards, "TARGET_BYTES", 8 * len(encode_png(images[0])))
    before = digests(write(table[:40], images[:40], tmp_path / "before"))
    assert len(before) >= 5
    for row in range(40, 60):  # some of them split the shard that they come to
        kept = [*range(40), row]
        after = digests(write(table.iloc[kept], images[kept], tmp_path / f"with-{row}"))
        assert len(before - after) == 1
        assert 1 <= len(after - before) <= 2


def test_rows_of_one_id_can_not_be_parted(rows, images, tmp_path, monkeypatch):
    monkeypatch.setattr(shards, "TARGET_BYTES", 1)
    same = rows.assign(image_id="a" * 32)
    assert len(write(same, images, tmp_path)) == 1


def test_bad_rows_are_refused_before_anything_is_written(rows, images, tmp_path):
    assert write(rows.iloc[:0], [], tmp_path) == []
    bad = rows.assign(label=5)
    refuses(DatasetError, r"train-real: .*in_range", write, bad, images, tmp_path)
    refuses(ValueError, "12 rows, 11 images", write, rows, images[:-1], tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_shards_that_are_torn_foreign_or_disagree_are_refused(rows, images, tmp_path):
    (path,) = write(rows, images, tmp_path)
    (other,) = write(rows, images, tmp_path, stem="other", classes=("dog", "cat"))
    refuses(DatasetError, "disagree on the class names", read_rows, [path, other])
    path.write_bytes(path.read_bytes()[:-100])
    match = r"train-real-00000\.parquet: not a readable shard"
    refuses(DatasetError, match, read_rows, [path])
    pq.write_table(pa.table({"a": [1]}), path)
    with pytest.raises(DatasetError, match=match):  # in the many lines of pyarrow
        read_rows([path])


def test_images_are_found_by_their_ids_and_others_passed_over(rows, images, tmp_path):
    ids = rows["image_id"].tolist()
    paths = write(rows[:6], images[:6], tmp_path) + write(rows[6:], images[6:], tmp_path, "other")
    found = pngs_of(paths, {ids[3], ids[8], "f" * 32})
    assert found == {ids[i]: encode_png(images[i]) for i in (3, 8)}
    assert pngs_of(paths, []) == pngs_of([], ids) == {}
    paths[1].write_bytes(b"broken")
    refuses(DatasetError, r"other-00000\.parquet: not a readable shard", pngs_of, paths, ids)


def test_files_are_described_by_what_lies_on_disk_and_counts_name_every_class(
    rows, images, tmp_path
):
    (path,) = write(rows, images, tmp_path)
    facts = {"sha256": sha256_file(path), "bytes": len(path.read_bytes()), "rows": 12}
    assert describe_files([path]) == {"train-real-00000.parquet": facts}
    rows = rows.assign(split=["train"] * 8 + ["val"] * 4)
    rows.loc[rows["split"] == "val", "label"] = 1
    assert count_rows(rows, CLASSES) == {"train": {"cat": 4, "dog": 4}, "val": {"cat": 0, "dog": 4}}


def test_huggingface_datasets_decodes_images_and_class_names(rows, images, tmp_path):
    datasets = pytest.importorskip("datasets")
    (path,) = write(rows, images, tmp_path / "data")
    loaded = datasets.Dataset.from_parquet(str(path), cache_dir=str(tmp_path / "cache"))
    assert loaded.features["label"].names == list(CLASSES)
    assert loaded[3]["label"] == 1
    assert np.array_equal(np.asarray(loaded[3]["image"]), images[3, :, :, 0])
