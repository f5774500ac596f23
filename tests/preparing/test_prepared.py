import dataclasses

import pytest

from ganaug.errors import DatasetError
from ganaug.fileio import read_json, write_json
from ganaug.preparing.prepared import read_prepared
from ganaug.shards import read_images, read_rows
from tests.refusal import changed, refuses
from tests.toy_source import CLASSES, PER_CLASS


def test_facts_and_shards_are_found_and_frozen(prepared):
    assert (prepared.classes, prepared.symmetries) == (CLASSES, ("vflip",))
    assert (prepared.resolution, prepared.channels) == (16, 1)
    assert prepared.source["license"] == "CC0-1.0"
    for split, number in PER_CLASS.items():
        rows, names = read_rows(prepared.shards(split))
        assert (names, set(rows["split"])) == (CLASSES, {split})
        assert len(rows) == number * len(CLASSES)
    assert read_images(prepared.shards("val")).shape == (16, 16, 16, 1)
    assert prepared.summary() == (
        "64 images accepted, 0 rejected, 0 left out; "
        "train 32 (left 16, right 16); val 16 (left 8, right 8); test 16 (left 8, right 8)"
    )
    with pytest.raises(dataclasses.FrozenInstanceError):
        prepared.resolution = 32


def test_what_is_missing_or_torn_is_named(prepared, prepared_copy, tmp_path):
    refuses(DatasetError, "no split 'dev'; there are train, val, test", prepared.shards, "dev")
    refuses(DatasetError, r"prepared\.json: no such file; run the stage", read_prepared, tmp_path)
    shard, path = prepared_copy / "val-00000.parquet", prepared_copy / "prepared.json"
    whole = shard.read_bytes()
    shard.write_bytes(whole[:-1])
    match = r"val-00000\.parquet: \d+ bytes, prepared\.json says"
    refuses(DatasetError, match, read_prepared, prepared_copy)
    shard.write_bytes(changed(whole))
    match = r"val-00000\.parquet: changed after the stage prepare wrote it .*; run prepare again"
    refuses(DatasetError, match, read_prepared, prepared_copy)
    shard.unlink()
    match = r"val-00000\.parquet: listed .* but missing"
    refuses(DatasetError, match, read_prepared, prepared_copy)
    document = read_json(path)
    write_json(document | {"files": {"../x": document["files"][shard.name]}}, path)
    refuses(DatasetError, r"'\.\./x' is no name of a file", read_prepared, prepared_copy)
    del document["symmetries"]
    write_json(document, path)
    match = r"prepared\.json: lacks 'symmetries'; run prepare"
    refuses(DatasetError, match, read_prepared, prepared_copy)
