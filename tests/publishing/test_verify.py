import io
import shutil

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from ganaug.errors import DatasetError
from ganaug.fileio import read_json, sha256_file, write_json
from ganaug.publishing.verify import verify_dataset
from tests.publishing.small_run import make_old, merge
from tests.refusal import refuses

SYNTHETIC, APART = "train-synthetic-00000.parquet", "synthetic/synthetic-00000.parquet"


def edit_manifest(folder, change):
    manifest = read_json(folder / "manifest.json")
    change(manifest)
    write_json(manifest, folder / "manifest.json")


def change_rows(folder, name, change):
    """Apply a change to each row of a shard, and make the manifest's hash follow."""
    path = folder / name
    table = pq.read_table(path)
    rows = [change(row) for row in table.to_pylist()]
    pq.write_table(pa.Table.from_pylist(rows, schema=table.schema), path)
    edit_manifest(folder, lambda m: m["files"][name].update(sha256=sha256_file(path)))


def with_bytes(row, content):
    return row | {"image": {"bytes": content, "path": None}}


def without_mark(row):
    buffer = io.BytesIO()
    Image.open(io.BytesIO(row["image"]["bytes"])).save(buffer, format="PNG")
    return with_bytes(row, buffer.getvalue())


def test_merged_dataset_is_as_stated_and_so_is_an_old_one(augmented, tmp_path):
    assert len(verify_dataset(augmented)["files"]) == 4
    make_old(augmented)
    assert verify_dataset(augmented)["schema_version"] == 2
    refuses(DatasetError, r"manifest\.json: no such file", verify_dataset, tmp_path)


def test_rows_that_are_not_as_stated_are_named(augmented, tmp_path):
    cut = [
        ("val-00000.parquet", lambda row, n=n: with_bytes(row, row["image"]["bytes"][:n]),
         "row 0 .+: (not a readable|the pixels are not)")
        for n in (0, 20, 60)
    ]  # fmt: skip
    for number, (name, change, match) in enumerate(
        (
            (SYNTHETIC, without_mark, r"row 0 \(.{32}\): synthetic, but the image is not"),
            (
                SYNTHETIC,
                lambda row: row | {"source": "real"},
                "marked as synthetic, .* real; .*more",
            ),
            (
                SYNTHETIC,
                lambda row: row | {"generator_id": "0" * 64},
                "by generator 0{64}, which is",
            ),
            (
                "train-real-00000.parquet",
                lambda row: row | {"image_id": "0" * 32},
                "row 0 .+: the pix",
            ),
            *cut,
        )
    ):
        folder = shutil.copytree(augmented, tmp_path / str(number))
        change_rows(folder, name, change)
        refuses(DatasetError, match, verify_dataset, folder)


def test_a_manifest_that_is_wrong_is_named(augmented):
    path = augmented / "manifest.json"
    whole = path.read_text()
    for change, match in (
        (
            lambda m: m["files"][SYNTHETIC].update(source="real"),
            "synthetic, in a shard of real rows",
        ),
        (
            lambda m: m["counts"]["val"]["clear"].update(real=7),
            r"val has \d+ real images of clear, not 7",
        ),
        (lambda m: m["counts"].pop("val"), r"val has \d+ real images of clear, not 0"),
    ):
        edit_manifest(augmented, change)
        refuses(DatasetError, match, verify_dataset, augmented)
        path.write_text(whole)


def test_changed_missing_and_added_files_are_named(augmented):
    shard = augmented / "val-00000.parquet"
    shard.write_bytes(shard.read_bytes() + b"x")
    (augmented / "test-00000.parquet").unlink()
    pd.DataFrame({"a": [1]}).to_parquet(augmented / "extra.parquet")
    (augmented / "sub").mkdir()
    (augmented / "sub" / "train-extra.parquet").write_bytes(b"")
    (augmented / "notes.csv").write_text("")
    for match in (
        r"val-00000\.parquet has another sha256",
        r"test-00000\.parquet is missing",
        r"extra\.parquet is not in the manifest",
        r"notes\.csv is not",
        r"sub/train-extra\.parquet is not",
    ):
        refuses(DatasetError, match, verify_dataset, augmented)


def test_rows_that_are_kept_apart_are_checked_like_the_others(small_run, tmp_path):
    merge(small_run, "undecided")
    folder = small_run / "augmented"
    beside = shutil.copytree(folder, tmp_path / "beside")
    change_rows(folder, APART, lambda row: row | {"image_id": "0" * 32})
    match = rf"{APART} row 0 \(0{{32}}\): the pixels are not those"
    refuses(DatasetError, match, verify_dataset, folder)
    (folder / APART).unlink()
    refuses(DatasetError, rf"{APART} is missing", verify_dataset, folder)
    (beside / APART).rename(beside / SYNTHETIC)
    edit_manifest(beside, lambda m: m["files"].update({SYNTHETIC: m["files"].pop(APART)}))
    match = f"{SYNTHETIC} is synthetic and lies outside synthetic"
    refuses(DatasetError, match, verify_dataset, beside)


def test_every_changed_byte_is_found(augmented):
    rng = np.random.default_rng(0)
    for path in sorted(path for path in augmented.rglob("*") if path.is_file()):
        whole = path.read_bytes()
        for place in rng.integers(0, len(whole), 20):
            turned = bytes([whole[place] ^ 1 << int(rng.integers(8))])
            path.write_bytes(whole[:place] + turned + whole[place + 1 :])
            with pytest.raises(DatasetError):
                verify_dataset(augmented)
        path.write_bytes(whole)
    path = augmented / "manifest.json"
    path.write_bytes(path.read_bytes().replace(b'"seal"', b'"seam"'))
    refuses(DatasetError, "lost its seal", verify_dataset, augmented)
