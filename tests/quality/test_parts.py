import numpy as np
import pandas as pd
import pytest

from ganaug.errors import DatasetError
from ganaug.fileio import read_json, write_json
from ganaug.quality.parts import choose_rows, read_parts, unfilled_classes
from ganaug.shards import read_images
from tests.refusal import changed
from tests.toy_synthetic import new_images


def test_rows_and_images_of_all_parts_agree(prepared, synthetic, tmp_path):
    images, labels = new_images()
    folder = synthetic(images, labels)
    parts = read_parts(prepared, folder, scratch=tmp_path)
    assert {name: len(part.rows) for name, part in parts.items()} == {
        "train": 32, "val": 16, "test": 16, "synthetic": 32,
    }  # fmt: skip
    for split in ("train", "val", "test"):
        expected = read_images(prepared.shards(split))
        np.testing.assert_array_equal(parts[split].data.images, expected)
        assert isinstance(parts[split].data.images, np.memmap)
    np.testing.assert_array_equal(parts["synthetic"].data.images, images)
    assert parts["synthetic"].data.labels.tolist() == labels


def test_of_many_images_a_sample_is_read_and_rare_classes_stay(
    prepared, synthetic, tmp_path, monkeypatch
):
    images, labels = new_images()
    folder = synthetic(images, labels)
    whole = read_parts(prepared, folder, scratch=tmp_path)["train"]
    (again := tmp_path / "again").mkdir()
    monkeypatch.setattr("ganaug.quality.parts.MOST_IMAGES", 10)
    monkeypatch.setattr("ganaug.quality.parts.FEWEST_OF_CLASS", 3)
    part = read_parts(prepared, folder, scratch=again)["train"]
    place = whole.rows["image_id"].tolist().index
    kept = [place(image_id) for image_id in part.rows["image_id"]]
    np.testing.assert_array_equal(part.data.images, whole.data.images[kept])
    assert len(part.rows) == 10
    assert part.data.labels.tolist() == whole.data.labels[kept].tolist()
    assert len(part.all_rows) == 32

    rare = pd.DataFrame({"label": [0] * 96 + [1] * 4, "image_id": list(map(str, range(100)))})
    once, again = (rare.sample(frac=1, random_state=n, ignore_index=True) for n in (0, 1))
    chosen = set(once["image_id"][choose_rows(once)])
    assert len(chosen) == 10 + 3
    assert chosen == set(again["image_id"][choose_rows(again)])
    assert choose_rows(rare[:8]).all()


def test_no_synthetic_image_is_an_empty_part(prepared, synthetic, tmp_path):
    made = read_parts(prepared, synthetic([], []), scratch=tmp_path)["synthetic"]
    assert made.data.images.shape == (0, 16, 16, 1)
    assert (made.data.labels.dtype, len(made.data.labels)) == (np.int64, 0)


def test_a_changed_or_missing_shard_is_named(prepared, synthetic, tmp_path):
    folder = synthetic(*new_images())
    shard = next(folder.glob("*.parquet"))
    shard.write_bytes(changed(shard.read_bytes()))
    with pytest.raises(DatasetError, match=r"synthetic-00000.*changed after the stage generate"):
        read_parts(prepared, folder, scratch=tmp_path)
    shard.unlink()
    with pytest.raises(DatasetError, match=r"train-synthetic-00000\.parquet: listed .* missing"):
        read_parts(prepared, folder, scratch=tmp_path)


def test_a_shard_that_the_list_lacks_is_named(prepared, synthetic, tmp_path):
    folder = synthetic(*new_images())
    document = read_json(folder / "synthetic.json")
    write_json(document | {"files": {}}, folder / "synthetic.json")
    with pytest.raises(DatasetError, match=r"synthetic-00000\.parquet: not listed .* run"):
        read_parts(prepared, folder, scratch=tmp_path)


def test_images_of_another_size_are_refused(prepared, synthetic, tmp_path):
    small = [np.zeros((8, 8, 1), np.uint8)]
    with pytest.raises(DatasetError, match=r"shape \(8, 8, 1\), not \(16, 16, 1\)"):
        read_parts(prepared, synthetic(small, [0]), scratch=tmp_path)


def test_other_classes_are_refused(prepared, synthetic, tmp_path):
    from dataclasses import replace

    folder = synthetic(*new_images())
    other = replace(prepared, classes=("up", "down"))
    with pytest.raises(DatasetError, match="classes"):
        read_parts(other, folder, scratch=tmp_path)


def test_a_class_that_was_asked_for_and_not_filled_is_known(prepared, synthetic):
    images, labels = new_images()
    lefts = [image for image, label in zip(images, labels, strict=True) if label == 0]
    folder = synthetic(lefts, [0] * len(lefts), wanted={"left": 20, "right": 20})
    assert unfilled_classes(read_json(folder / "synthetic.json")) == ("right",)


def test_a_class_that_was_not_asked_for_is_no_failure(prepared, synthetic):
    images, labels = new_images()
    lefts = [image for image, label in zip(images, labels, strict=True) if label == 0]
    folder = synthetic(lefts, [0] * len(lefts))
    assert unfilled_classes(read_json(folder / "synthetic.json")) == ()
