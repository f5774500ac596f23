import dataclasses

import pytest

from ganaug.errors import DatasetError
from ganaug.fileio import read_json, write_json
from ganaug.preparing.prepared import read_prepared
from ganaug.shards import read_images, read_rows
from tests.toy_source import CLASSES, PER_CLASS


def test_facts_and_shards_are_found(prepared_folder):
    prepared = read_prepared(prepared_folder)
    assert prepared.classes == CLASSES
    assert (prepared.resolution, prepared.channels) == (16, 1)
    assert prepared.symmetries == ("vflip",)
    assert prepared.source["license"] == "CC0-1.0"
    for split, number in PER_CLASS.items():
        rows, names = read_rows(prepared.shards(split))
        assert names == CLASSES
        assert set(rows["split"]) == {split}
        assert len(rows) == number * len(CLASSES)
    assert read_images(prepared.shards("val")).shape == (16, 16, 16, 1)


def test_it_is_frozen(prepared_folder):
    with pytest.raises(dataclasses.FrozenInstanceError):
        read_prepared(prepared_folder).resolution = 32


def test_the_summary_names_every_split_and_class(prepared_folder):
    assert read_prepared(prepared_folder).summary() == (
        "64 images accepted, 0 rejected, 0 left out; "
        "train 32 (left 16, right 16); val 16 (left 8, right 8); test 16 (left 8, right 8)"
    )


def test_an_unknown_split_names_those_there_are(prepared_folder):
    with pytest.raises(DatasetError, match=r"no split 'dev'; there are train, val, test"):
        read_prepared(prepared_folder).shards("dev")


def test_a_folder_that_is_not_there_says_what_to_run(tmp_path):
    with pytest.raises(DatasetError, match=r"prepared\.json: no such file; run the stage"):
        read_prepared(tmp_path)


def test_a_missing_key_is_named(prepared_copy):
    document = read_json(prepared_copy / "prepared.json")
    del document["symmetries"]
    write_json(document, prepared_copy / "prepared.json")
    with pytest.raises(DatasetError, match=r"prepared\.json: lacks 'symmetries'; run prepare"):
        read_prepared(prepared_copy)


def test_a_missing_or_torn_shard_is_named(prepared_copy):
    shard = prepared_copy / "val-00000.parquet"
    shard.write_bytes(shard.read_bytes()[:-1])
    with pytest.raises(DatasetError, match=r"val-00000\.parquet: \d+ bytes, prepared\.json says"):
        read_prepared(prepared_copy)
    shard.unlink()
    with pytest.raises(DatasetError, match=r"val-00000\.parquet: listed .* but missing"):
        read_prepared(prepared_copy)
