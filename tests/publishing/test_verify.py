import io

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from ganaug.errors import DatasetError
from ganaug.fileio import read_json, sha256_file, write_json
from ganaug.publishing.verify import verify_dataset
from tests.publishing.small_run import make_old, merge


def change_rows(folder, name, change):
    """Apply a change to each row of a shard, and make the manifest's hash follow."""
    path = folder / name
    table = pq.read_table(path)
    rows = [change(row) for row in table.to_pylist()]
    pq.write_table(pa.Table.from_pylist(rows, schema=table.schema), path)
    manifest = read_json(folder / "manifest.json")
    manifest["files"][name]["sha256"] = sha256_file(path)
    write_json(manifest, folder / "manifest.json")


def test_merged_dataset_is_as_stated(augmented):
    manifest = verify_dataset(augmented)
    assert len(manifest["files"]) == 4


APART = "synthetic/synthetic-00000.parquet"


def test_rows_that_are_kept_apart_are_checked_like_the_others(small_run):
    merge(small_run, "undecided")
    folder = small_run / "augmented"
    change_rows(folder, APART, lambda row: row | {"image_id": "0" * 32})
    with pytest.raises(DatasetError, match=rf"{APART} row 0 \(0{{32}}\): the pixels are not those"):
        verify_dataset(folder)
    (folder / APART).unlink()
    with pytest.raises(DatasetError, match=rf"{APART} is missing"):
        verify_dataset(folder)


def test_synthetic_shard_beside_the_real_ones_of_a_no_is_named(small_run):
    merge(small_run, "undecided")
    folder, name = small_run / "augmented", "train-synthetic-00000.parquet"
    (folder / APART).rename(folder / name)
    manifest = read_json(folder / "manifest.json")
    manifest["files"][name] = manifest["files"].pop(APART)
    write_json(manifest, folder / "manifest.json")
    with pytest.raises(DatasetError, match=f"{name} is synthetic and lies outside synthetic"):
        verify_dataset(folder)


def test_old_dataset_is_as_stated(augmented):
    make_old(augmented)
    assert verify_dataset(augmented)["schema_version"] == 2


def test_synthetic_row_in_a_shard_of_real_ones_is_named(augmented):
    manifest = read_json(augmented / "manifest.json")
    manifest["files"]["train-synthetic-00000.parquet"]["source"] = "real"
    write_json(manifest, augmented / "manifest.json")
    with pytest.raises(DatasetError, match="synthetic, in a shard of real rows"):
        verify_dataset(augmented)


def test_changed_missing_and_added_files_are_named(augmented):
    shard = augmented / "val-00000.parquet"
    shard.write_bytes(shard.read_bytes() + b"x")
    (augmented / "test-00000.parquet").unlink()
    pd.DataFrame({"a": [1]}).to_parquet(augmented / "extra.parquet")
    with pytest.raises(DatasetError) as caught:
        verify_dataset(augmented)
    message = str(caught.value)
    assert "val-00000.parquet has another sha256" in message
    assert "test-00000.parquet is missing" in message
    assert "extra.parquet is not in the manifest" in message


def test_unmarked_synthetic_image_is_named(augmented):
    def strip_mark(row):
        pixels = Image.open(io.BytesIO(row["image"]["bytes"]))
        buffer = io.BytesIO()
        pixels.save(buffer, format="PNG")
        return row | {"image": {"bytes": buffer.getvalue(), "path": None}}

    change_rows(augmented, "train-synthetic-00000.parquet", strip_mark)
    with pytest.raises(DatasetError, match=r"row 0 \(.{32}\): synthetic, but the image is not"):
        verify_dataset(augmented)


def test_synthetic_image_that_poses_as_real_is_named(augmented):
    change_rows(augmented, "train-synthetic-00000.parquet", lambda row: row | {"source": "real"})
    with pytest.raises(DatasetError, match=r"marked as synthetic, but the row says real; .*more"):
        verify_dataset(augmented)


def test_pixels_that_do_not_match_their_id_are_named(augmented):
    change_rows(augmented, "train-real-00000.parquet", lambda row: row | {"image_id": "0" * 32})
    with pytest.raises(DatasetError, match=r"row 0 .+: the pixels are not those"):
        verify_dataset(augmented)


@pytest.mark.parametrize("length", [0, 20, 60])
def test_images_that_are_cut_short_are_named(augmented, length):
    def cut(row):
        return row | {"image": {"bytes": row["image"]["bytes"][:length], "path": None}}

    change_rows(augmented, "val-00000.parquet", cut)
    with pytest.raises(DatasetError, match=r"row 0 .+: (not a readable|the pixels are not)"):
        verify_dataset(augmented)


def test_wrong_counts_are_named(augmented):
    manifest = read_json(augmented / "manifest.json")
    manifest["counts"]["val"]["clear"]["real"] += 1
    write_json(manifest, augmented / "manifest.json")
    with pytest.raises(DatasetError, match=r"val has \d+ real images of clear, not"):
        verify_dataset(augmented)


def test_split_that_is_not_stated_is_named(augmented):
    manifest = read_json(augmented / "manifest.json")
    del manifest["counts"]["val"]
    write_json(manifest, augmented / "manifest.json")
    with pytest.raises(DatasetError, match=r"val has \d+ real images of clear, not 0"):
        verify_dataset(augmented)


def test_files_in_other_places_are_named(augmented):
    (augmented / "sub").mkdir()
    (augmented / "sub" / "train-extra.parquet").write_bytes(b"")
    (augmented / "notes.csv").write_text("")
    with pytest.raises(
        DatasetError, match=r"notes\.csv is not .+; sub/train-extra\.parquet is not"
    ):
        verify_dataset(augmented)


def test_rows_of_another_generator_are_named(augmented):
    change_rows(
        augmented, "train-synthetic-00000.parquet", lambda row: row | {"generator_id": "0" * 64}
    )
    with pytest.raises(DatasetError, match=r"made by generator 0{64}, which is not"):
        verify_dataset(augmented)


def test_folder_without_a_manifest_is_refused(tmp_path):
    with pytest.raises(DatasetError, match=r"manifest\.json: no such file"):
        verify_dataset(tmp_path)
