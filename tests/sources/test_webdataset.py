import bz2
import gzip
import json
import lzma
import tarfile

import pytest

from ganaug.errors import SourceError
from ganaug.sources.base import UnusableImage
from ganaug.sources.recognise import is_webdataset
from tests.refusal import changed, refuses
from tests.sources.test_archive import png, write_tar


def test_samples_give_labels_groups_and_splits(tmp_path, load):
    facts = json.dumps({"label": "dog", "patient": 7}).encode()
    content = {"a/0.png": png(0), "a/0.cls": b"cat\n"}
    content |= {"a/1.json": facts, "a/1.png": png(1), "a/1.seg.png": png(5)}
    write_tar(tmp_path / "wds" / "train-000.tar", content)
    write_tar(tmp_path / "wds" / "test-000.tar", {"2.cls": b"dog", "2.PNG": png(2)})
    images = list(load("webdataset", tmp_path / "wds", table={"group": "patient"}).images)
    assert [(i.name, i.class_name, i.group, i.split) for i in images] == [
        ("wds/test-000.tar/2.png", "dog", None, "test"),
        ("wds/train-000.tar/a/0.png", "cat", None, "train"),
        ("wds/train-000.tar/a/1.png", "dog", "7", "train"),
    ]
    assert [i.content for i in images] == [png(2), png(0), png(1)]


def test_every_image_of_a_sample_is_given_in_a_group_and_one_without_is_rejected(tmp_path, load):
    content = {"0.png": png(0), "0.jpg": png(1), "0.heic": png(2), "0.cls": b"a"}
    content |= {"1.png": png(3), "1.cls": b"b", "2.cls": b"b"}
    *images, lone = load("webdataset", write_tar(tmp_path / "x.tar", content)).images
    assert [(i.name, i.class_name, i.group) for i in images] == [
        *((f"x.tar/0.{suffix}", "a", "x.tar/0") for suffix in ("png", "jpg", "heic")),
        ("x.tar/1.png", "b", None),
    ]
    assert [i.content for i in images] == [png(seed) for seed in range(4)]
    assert isinstance(lone.content, UnusableImage)
    assert (lone.name, lone.content.reason) == ("x.tar/2", "unreadable")
    twice = write_tar(tmp_path / "x.tar", {"0.png": png(0), "0.PNG": png(1), "0.cls": b"a"})
    names = [i.name for i in load("webdataset", twice).images]
    assert names == ["x.tar/0.png"] * 2  # then refused


def test_a_sample_without_a_label_and_a_tar_that_is_not_whole_are_refused(tmp_path, load):
    refuses(SourceError, r"no \.tar file", load, "webdataset", tmp_path)
    path, whole = tmp_path / "x.tar", {f"{i}.{s}": b"cat" for i in range(9) for s in ("cls", "png")}
    for content, match in (
        ({"0.png": b"x"}, r"x\.tar/0: no label; expected 0\.cls, or 'label' in 0\.json"),
        ({"0.png": b"x", "0.json": b"{"}, r"x\.tar/0\.json: not valid JSON"),
    ):
        refuses(SourceError, match, load, "webdataset", write_tar(path, content))
    # Cut at a header: header and content of each file are a block.
    path.write_bytes(write_tar(path, whole).read_bytes()[: 6 * 1024])
    match = "not a whole tar .cut short or damaged at byte 6144"
    refuses(SourceError, match, load, "webdataset", path)
    path.write_bytes(b"no tar")
    refuses(SourceError, "not a whole tar", load, "webdataset", tmp_path)


def test_an_empty_image_is_given_as_it_is(tmp_path, load):
    path = write_tar(tmp_path / "x.tar", {"0.png": b"", "0.cls": b"cat"})
    assert [image.content for image in load("webdataset", path).images] == [b""]


def test_folders_in_the_tar_are_no_samples(tmp_path, load):
    for name in ("0.png", "0.cls"):
        (tmp_path / "v1.0" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "v1.0" / name).write_bytes(b"cat")
    with tarfile.open(tmp_path / "x.tar", "w") as tar:
        tar.add(tmp_path / "v1.0", "./v1.0")
    assert [image.class_name for image in load("webdataset", tmp_path / "x.tar").images] == ["cat"]


@pytest.mark.parametrize("pack", [lzma.compress, gzip.compress, bz2.compress])
def test_a_damaged_packed_tar_is_refused_in_one_line(tmp_path, load, pack):
    path = write_tar(tmp_path / "x.tar", {"0.png": png(0), "0.cls": b"cat"})
    whole = pack(path.read_bytes())
    for place in (0.5, 0.7, 0.97):
        path.write_bytes(changed(whole, place))
        is_webdataset(path)  # may notice it, and must not raise
        refuses(SourceError, "not a whole tar", lambda: list(load("webdataset", path).images))
