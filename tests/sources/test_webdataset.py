import json
import tarfile

import pytest

from ganaug.errors import SourceError
from ganaug.sources.base import Refused
from tests.sources.test_archive import png, write_tar


def test_samples_give_labels_groups_and_splits(tmp_path, load):
    write_tar(
        tmp_path / "wds" / "train-000.tar",
        {
            "a/0.png": png(0),
            "a/0.cls": b"cat\n",
            "a/1.json": json.dumps({"label": "dog", "patient": 7}).encode(),
            "a/1.png": png(1),
            "a/1.seg.png": png(5),
        },
    )
    write_tar(tmp_path / "wds" / "test-000.tar", {"2.cls": b"dog", "2.PNG": png(2)})
    images = list(load("webdataset", tmp_path / "wds", table={"group": "patient"}).images)
    assert [(i.name, i.class_name, i.group, i.split) for i in images] == [
        ("wds/test-000.tar/2.png", "dog", None, "test"),
        ("wds/train-000.tar/a/0.png", "cat", None, "train"),
        ("wds/train-000.tar/a/1.png", "dog", "7", "train"),
    ]
    assert [i.content for i in images] == [png(2), png(0), png(1)]


def test_a_sample_without_an_image_is_rejected_by_name(tmp_path, load):
    path = write_tar(tmp_path / "x.tar", {"0.png": png(0), "0.cls": b"a", "1.cls": b"b"})
    first, second = load("webdataset", path).images
    assert first.content == png(0)
    assert (second.name, second.content.reason) == ("x.tar/1", "unreadable")
    assert isinstance(second.content, Refused)


def test_every_image_of_a_sample_is_given_and_they_share_a_group(tmp_path, load):
    content = {"0.png": png(0), "0.jpg": png(1), "0.heic": png(2), "0.cls": b"a"}
    path = write_tar(tmp_path / "x.tar", content | {"1.png": png(3), "1.cls": b"b"})
    images = list(load("webdataset", path).images)
    assert [(i.name, i.class_name, i.group) for i in images] == [
        ("x.tar/0.png", "a", "x.tar/0"),
        ("x.tar/0.jpg", "a", "x.tar/0"),
        ("x.tar/0.heic", "a", "x.tar/0"),
        ("x.tar/1.png", "b", None),
    ]
    assert [i.content for i in images] == [png(seed) for seed in range(4)]


def test_an_image_that_is_twice_in_the_tar_is_given_twice(tmp_path, load):
    path = write_tar(tmp_path / "x.tar", {"0.png": png(0), "0.PNG": png(1), "0.cls": b"a"})
    assert [i.name for i in load("webdataset", path).images] == ["x.tar/0.png"] * 2  # then refused


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"0.png": b"x"}, r"x\.tar/0: no label; expected 0\.cls, or 'label' in 0\.json"),
        ({"0.png": b"x", "0.json": b"{"}, r"x\.tar/0\.json: not valid JSON"),
    ],
)
def test_a_sample_without_a_label_is_refused(tmp_path, load, content, message):
    with pytest.raises(SourceError, match=message):
        load("webdataset", write_tar(tmp_path / "x.tar", content))


def test_a_broken_or_missing_tar_is_refused(tmp_path, load):
    with pytest.raises(SourceError, match=r"no \.tar file"):
        load("webdataset", tmp_path)
    (tmp_path / "x.tar").write_bytes(b"no tar")
    with pytest.raises(SourceError, match="not a whole tar"):
        load("webdataset", tmp_path)


def test_folders_in_the_tar_are_no_samples(tmp_path, load):
    for name in ("0.png", "0.cls"):
        (tmp_path / "v1.0" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "v1.0" / name).write_bytes(b"cat")
    with tarfile.open(tmp_path / "x.tar", "w") as tar:
        tar.add(tmp_path / "v1.0", "./v1.0")
    assert [image.class_name for image in load("webdataset", tmp_path / "x.tar").images] == ["cat"]


def test_a_tar_that_is_cut_at_a_header_is_refused(tmp_path, load):
    path = write_tar(
        tmp_path / "x.tar", {f"{i}.{s}": b"cat" for i in range(9) for s in ("cls", "png")}
    )
    path.write_bytes(path.read_bytes()[: 6 * 1024])  # header and content of each are a block
    with pytest.raises(SourceError, match=r"not a whole tar .cut short or damaged at byte 6144"):
        load("webdataset", path)
