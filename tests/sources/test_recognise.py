import pandas as pd
import pytest

from ganaug.errors import SourceError
from ganaug.sources.recognise import recognise
from tests.sources.test_archive import content_of, png, write_tar, write_zip


def test_each_kind_of_path_is_recognised(tmp_path):
    (tmp_path / "folder" / "cat").mkdir(parents=True)
    (tmp_path / "rows.CSV").write_text("")
    (tmp_path / "hub" / "data").mkdir(parents=True)
    (tmp_path / "hub" / "data" / "x.parquet").write_text("")
    write_zip(tmp_path / "x.zip", content_of(["cat/a.png"]))
    write_tar(tmp_path / "x.tar", content_of(["cat/a.png"]))
    write_tar(tmp_path / "wds" / "x.tar", {"0.png": png(0), "0.cls": b"a"})
    expected = {
        "folder": "folder",
        "rows.CSV": "table",
        "hub": "parquet",
        "hub/data/x.parquet": "parquet",
        "x.zip": "archive",
        "x.tar": "archive",
        "wds": "webdataset",
        "wds/x.tar": "webdataset",
    }
    assert {name: recognise(str(tmp_path / name)) for name in expected} == expected


def test_images_in_folders_are_class_folders_whatever_lies_beside_them(tmp_path):
    for name, data in content_of(["cat/a.png", "dog/b.png"]).items():
        (tmp_path / "photos" / name).parent.mkdir(parents=True)
        (tmp_path / "photos" / name).write_bytes(data)
    pd.DataFrame({"image": ["cat/a.png"], "age": [3]}).to_parquet(tmp_path / "photos/age.parquet")
    write_tar(tmp_path / "photos" / "old.tar", {"0.png": png(0), "0.cls": b"a"})
    assert recognise(str(tmp_path / "photos")) == "folder"
    assert recognise(str(tmp_path / "photos" / "age.parquet")) == "table"
    codes = pd.DataFrame({"image": ["cat/a.png"], "code": [b"\x00\x01"]})
    codes.to_parquet(tmp_path / "photos" / "codes.parquet")
    assert recognise(str(tmp_path / "photos")) == "folder"
    rows = pd.DataFrame({"image": [{"bytes": png(0), "path": None}], "label": ["cat"]})
    rows.to_parquet(tmp_path / "photos" / "all.parquet")
    assert recognise(str(tmp_path / "photos")) == "parquet"


def test_a_tar_is_webdataset_only_if_an_image_has_its_label_beside_it(tmp_path):
    images = content_of(["cat/a.png", "dog/b.png"])
    write_tar(tmp_path / "stray.tar", {"info.json": b"{}", "cat/notes.json": b"{}"} | images)
    write_tar(tmp_path / "samples.tar", {"info.json": b"{}"} | images | {"dog/b.json": b"{}"})
    assert recognise(str(tmp_path / "stray.tar")) == "archive"
    assert recognise(str(tmp_path / "samples.tar")) == "webdataset"


def test_a_url_is_told_by_its_ending():
    assert recognise("s3://bucket/photos.tar.gz") == "archive"
    assert recognise("s3://bucket/labels.csv") == "table"
    assert recognise("s3://bucket/photos") == "folder"


def test_what_no_source_reads_is_refused(tmp_path):
    (tmp_path / "notes.txt").write_text("")
    with pytest.raises(SourceError, match=r"expected a folder, a \.csv or \.parquet file, or a"):
        recognise(str(tmp_path / "notes.txt"))
    with pytest.raises(SourceError, match="nosuch does not exist"):
        recognise(str(tmp_path / "nosuch"))
