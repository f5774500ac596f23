import pandas as pd

from ganaug.errors import SourceError
from ganaug.sources.recognise import recognise
from tests.refusal import refuses
from tests.sources.test_archive import content_of, png, write_tar, write_zip

SAMPLE = {"0.png": png(0), "0.cls": b"a"}


def test_each_kind_of_path_is_recognised(tmp_path):
    images = content_of(["cat/a.png", "dog/b.png"])
    (tmp_path / "folder" / "cat").mkdir(parents=True)
    (tmp_path / "rows.CSV").write_text("")
    (tmp_path / "hub" / "data").mkdir(parents=True)
    (tmp_path / "hub" / "data" / "x.parquet").write_text("")
    write_zip(tmp_path / "x.zip", images)
    write_tar(tmp_path / "x.tar", images)
    write_tar(tmp_path / "wds" / "x.tar", SAMPLE)
    # A tar is WebDataset only if an image has its label beside it.
    write_tar(tmp_path / "stray.tar", {"info.json": b"{}", "cat/notes.json": b"{}"} | images)
    write_tar(tmp_path / "samples.tar", {"info.json": b"{}"} | images | {"dog/b.json": b"{}"})
    for kind, names in {
        "folder": ["folder"],
        "table": ["rows.CSV"],
        "parquet": ["hub", "hub/data/x.parquet"],
        "archive": ["x.zip", "x.tar", "stray.tar"],
        "webdataset": ["wds", "wds/x.tar", "samples.tar"],
    }.items():
        for name in names:
            assert recognise(str(tmp_path / name)) == kind, name


def test_images_in_folders_are_class_folders_whatever_lies_beside_them(tmp_path):
    photos = tmp_path / "photos"
    for name, data in content_of(["cat/a.png", "dog/b.png"]).items():
        (photos / name).parent.mkdir(parents=True)
        (photos / name).write_bytes(data)
    write_tar(photos / "old.tar", SAMPLE)
    for name, more, kind in (
        ("age", {"image": ["cat/a.png"], "age": [3]}, "folder"),
        ("codes", {"image": ["cat/a.png"], "code": [b"\x00\x01"]}, "folder"),
        ("all", {"image": [{"bytes": png(0), "path": None}], "label": ["cat"]}, "parquet"),
    ):
        pd.DataFrame(more).to_parquet(photos / f"{name}.parquet")
        assert recognise(str(photos)) == kind, name
    assert recognise(str(photos / "age.parquet")) == "table"


def test_what_no_source_reads_is_refused(tmp_path):
    (tmp_path / "notes.txt").write_text("")
    match = r"expected a folder, a \.csv or \.parquet file, or a"
    refuses(SourceError, match, recognise, str(tmp_path / "notes.txt"))
    (tmp_path / "reviews" / "good").mkdir(parents=True)
    (tmp_path / "reviews" / "good" / "1.txt").write_text("Fine.")
    for text in ("notes.txt", "reviews"):
        refuses(SourceError, "for text a language model", recognise, str(tmp_path / text))
    refuses(SourceError, "nosuch does not exist", recognise, str(tmp_path / "nosuch"))
