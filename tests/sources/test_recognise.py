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
