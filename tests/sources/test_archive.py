"""Archives of every layout, local and fetched, and what may hide in one."""

import hashlib
import io
import tarfile
import zipfile

import fsspec
import numpy as np
import pandas as pd
import pytest

from ganaug.errors import SourceError
from ganaug.images import encode_png
from ganaug.preparing import reading
from ganaug.preparing.decode import Form
from ganaug.preparing.reading import read_candidates
from ganaug.sources.base import UnusableImage
from tests.refusal import refuses

FILES = ["cat/a.png", "cat/b.png", "dog/c.png"]


def png(seed):
    return encode_png(np.random.default_rng(seed).integers(0, 256, (8, 8, 1), dtype=np.uint8))


def content_of(names):
    return {name: png(seed) for seed, name in enumerate(names)}


def write_zip(path, content):
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in content.items():
            archive.writestr(name, data)
    return path


def write_tar(path, content):
    path.parent.mkdir(exist_ok=True)
    with tarfile.open(path, f"w:{path.suffix[1:] if path.suffix != '.tar' else ''}") as archive:
        for name, data in content.items():
            facts = tarfile.TarInfo(name)
            facts.size = len(data)
            archive.addfile(facts, io.BytesIO(data))
    return path


WRITERS = {"x.zip": write_zip, "x.tar": write_tar, "x.tar.gz": write_tar}


def listed(source):
    return [(image.name, image.class_name, image.split) for image in source.images]


def test_class_folders_are_read_also_below_a_folder_of_their_own(tmp_path, load):
    others = {"__MACOSX/cat/._a.png": b"x", "info.json": b"{}"}
    for name, above in ((name, above) for name in WRITERS for above in ("", "photos/")):
        content = {above + file: data for file, data in content_of(FILES).items()}
        source = load("archive", WRITERS[name](tmp_path / name, others | content))
        images = list(source.images)
        found = [(i.name, i.class_name) for i in images]
        assert found == [(f, f.split("/")[0]) for f in FILES], (name, above)
        assert [i.content.read_bytes() for i in images] == list(content_of(FILES).values())
        assert source.facts.classes == ("cat", "dog")


def test_every_layout_is_recognised(tmp_path, load):
    two = content_of(["images/1.png", "images/2.png"])
    rows = pd.DataFrame({"image": [{"bytes": png(0)}, {"bytes": png(1)}], "label": ["cat", "dog"]})
    frame = pd.DataFrame({"image": list(two), "label": ["cat", "dog"]})
    samples = {"0.png": png(0), "0.cls": b"cat", "1.png": png(1), "1.cls": b"dog"}
    beside = {"metadata.csv": b"file_name,weight\n"}  # another table does not hide the folders
    for write, content, classes in (
        (write_zip, content_of(["train/cat/a.png", "test/dog/b.png"]), ["dog", "cat"]),
        (write_zip, {"labels.csv": frame.to_csv(index=False)} | two, ["cat", "dog"]),
        (write_tar, {"data/x.parquet": rows.to_parquet()}, ["cat", "dog"]),
        (
            write_tar,
            {"labels.parquet": frame.to_parquet(), "info.json": b"{}"} | two,
            ["cat", "dog"],
        ),
        (write_zip, content_of(FILES) | beside, ["cat", "cat", "dog"]),
        (write_tar, samples, ["cat", "dog"]),
    ):
        path = write(tmp_path / ("train-0.tar" if write is write_tar else "x.zip"), content)
        found = listed(load("archive", path))
        assert [c for _, c, _ in found] == classes, list(content)
        splits = {"test/dog/b.png": ["test", "train"], "0.cls": ["train", "train"]}
        for name in splits.keys() & content.keys():
            assert [split for *_, split in found] == splits[name]


@pytest.mark.parametrize("name", ["x.zip", "x.tar"])
@pytest.mark.parametrize("packed", [False, True])
def test_a_second_start_reads_nothing_again_of_the_same_archive(
    tmp_path, load, monkeypatch, name, packed
):
    calls = []
    whole = reading._read_one
    monkeypatch.setattr(reading, "_read_one", lambda *a: calls.append(a) or whole(*a))

    def read(seeds):
        content = {file: png(seed) for file, seed in zip(FILES, seeds, strict=True)}
        rows = {"image": [{"bytes": image} for image in content.values()], "label": list("aab")}
        path = tmp_path / name
        if not path.exists():
            table = {"x.parquet": pd.DataFrame(rows).to_parquet()}
            WRITERS[name](path, table if packed else content)
        images = load("archive", path).images
        return read_candidates(images, Form(16, 1, 2**20), scratch=tmp_path / "scratch")

    first = read([0, 1, 2])
    assert read([0, 1, 2]) == first
    assert len(calls) == 3
    (tmp_path / name).unlink()
    assert read([0, 1, 3]) != first  # another archive in its place
    assert len(calls) == 6


def refused_in(source):
    refused = [i for i in source.images if isinstance(i.content, UnusableImage)]
    return {i.name.split(" (refused")[0]: i.content.reason for i in refused}


def test_members_that_lead_out_are_refused_by_name_and_never_written(tmp_path, load):
    evil = content_of(["../evil.png", "cat/../../evil.png", "/evil.png", "cat\\..\\..\\evil.png"])
    for name in ("x.zip", "x.tar"):
        path = WRITERS[name](tmp_path / name, content_of(FILES) | evil)
        reasons = refused_in(load("archive", path))
        assert set(reasons.values()) == {"outside"}, name
        assert len(reasons) == len(evil), name
    assert not list(tmp_path.rglob("evil.png"))


def test_links_devices_and_second_copies_are_refused_by_name(tmp_path, load):
    path = write_tar(tmp_path / "x.tar", content_of(FILES))
    with tarfile.open(path, "a") as archive:
        for number, kind in enumerate((tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE)):
            facts = tarfile.TarInfo(f"cat/odd{number}.png")
            facts.type, facts.linkname = kind, "/etc/passwd"
            archive.addfile(facts)
        archive.addfile(tarfile.TarInfo("cat/a.png"))
    images = load("archive", path).images
    assert [i.name for i in images if not isinstance(i.content, UnusableImage)] == FILES
    odd = dict.fromkeys((f"cat/odd{number}.png" for number in range(3)), "link")
    assert refused_in(load("archive", path)) == odd | {"cat/a.png": "name_twice"}


def test_a_zip_with_a_link_and_a_table_that_leads_out(tmp_path, load):
    link = zipfile.ZipInfo("images/link.png")
    link.external_attr = 0o120777 << 16
    rows = "image,label\nimages/1.png,cat\n../../etc/passwd,dog\n/etc/passwd,dog\n"
    content = {"labels.csv": rows, "images/1.png": png(0), link: "/etc/passwd"}
    refused = refused_in(load("archive", write_zip(tmp_path / "x.zip", content)))
    outside = dict.fromkeys(("../../etc/passwd", "/etc/passwd"), "outside")
    assert refused == {"images/link.png": "link"} | outside


def test_a_broken_archive_is_refused(tmp_path, load):
    for name, damage in (
        ("x.zip", lambda whole: whole[:-200]),
        ("x.tar.gz", lambda whole: whole[:-200]),
        ("x.tar.xz", lambda whole: whole[:300] + b"\0" + whole[301:]),
        ("x.tar.xz", lambda whole: whole[:300] + b"x" * 40 + whole[340:]),
    ):
        path = (write_zip if name == "x.zip" else write_tar)(tmp_path / name, content_of(FILES))
        path.write_bytes(damage(path.read_bytes()))
        refuses(SourceError, "not a whole zip or tar", load, "archive", path)


def test_what_would_fill_the_disk_is_refused_before_it_is_unpacked(tmp_path, load, monkeypatch):
    path = write_zip(tmp_path / "x.zip", content_of(FILES))
    usage = type("Usage", (), {"free": 10})
    monkeypatch.setattr("ganaug.sources.archive.shutil.disk_usage", lambda _: usage)
    refuses(SourceError, r"unpacks to \d+ bytes; .* has 10 free", load, "archive", path)


@pytest.fixture
def memory():
    files = fsspec.filesystem("memory")
    files.store.clear()
    yield files
    files.store.clear()


def test_an_archive_at_a_url_needs_its_sha256(tmp_path, load, memory):
    path, url = write_zip(tmp_path / "x.zip", content_of(FILES)), "memory://bucket/x.zip"
    memory.pipe("/bucket/x.zip", path.read_bytes())
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert len(listed(load("archive", url, sha256=digest))) == 3
    refuses(SourceError, r"give prepare\.files\.sha256", load, "archive", url)
    for place in (url, path):
        match = f"its sha256 is {digest}, but"
        refuses(SourceError, match, load, "archive", place, sha256="0" * 64)
