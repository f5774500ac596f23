import hashlib
import json

import pytest

from ganaug.errors import DatasetError
from ganaug.fileio import (
    atomic_file,
    atomic_folder,
    read_json,
    sha256_file,
    write_json,
    write_text,
)


def test_a_file_that_is_not_finished_leaves_the_old_one(tmp_path):
    path = tmp_path / "deep" / "a.txt"
    write_text("old", path)

    def fail():
        with atomic_file(path) as temporary:
            temporary.write_text("half")
            raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        fail()
    assert path.read_text() == "old"
    assert list(path.parent.iterdir()) == [path]


def test_a_file_keeps_its_name_hidden_until_it_is_whole(tmp_path):
    path = tmp_path / "a.txt"
    with atomic_file(path) as temporary:
        temporary.write_text("new")
        assert not path.exists()
        assert temporary.parent == path.parent  # a rename within one file system
    assert path.read_text() == "new"


def test_a_folder_replaces_the_old_one_whole(tmp_path):
    out = tmp_path / "out"
    with atomic_folder(out) as folder:
        (folder / "one").write_text("1")
    with atomic_folder(out) as folder:
        (folder / "two").write_text("2")
        assert (out / "one").exists()
    assert [path.name for path in out.iterdir()] == ["two"]


def test_a_folder_that_fails_leaves_the_old_one_and_no_litter(tmp_path):
    out = tmp_path / "out"
    with atomic_folder(out) as folder:
        (folder / "one").write_text("1")

    def fail():
        with atomic_folder(out) as folder:
            (folder / "two").write_text("2")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert [path.name for path in tmp_path.rglob("*")] == ["out", "one"]


def test_a_folder_ignores_what_a_killed_run_left(tmp_path):
    leftover = tmp_path / ".out.tmp"
    leftover.mkdir()
    (leftover / "stale").write_text("from a killed run")
    with atomic_folder(tmp_path / "out") as folder:
        assert list(folder.iterdir()) == []


def test_json_comes_back_as_it_was(tmp_path):
    content = {"b": [1, 2.5, None], "a": "Zürich"}
    write_json(content, tmp_path / "x.json")
    assert read_json(tmp_path / "x.json") == content
    assert "Zürich" in (tmp_path / "x.json").read_text(encoding="utf-8")
    assert list(json.loads((tmp_path / "x.json").read_text(encoding="utf-8"))) == ["b", "a"]


def test_json_refuses_numbers_that_are_none(tmp_path):
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json({"kid": float("nan")}, tmp_path / "x.json")
    assert list(tmp_path.iterdir()) == []


def test_unreadable_json_names_the_file(tmp_path):
    with pytest.raises(DatasetError, match=r"absent\.json: no such file"):
        read_json(tmp_path / "absent.json")
    (tmp_path / "broken.json").write_text("{")
    with pytest.raises(DatasetError, match=r"broken\.json: not valid JSON"):
        read_json(tmp_path / "broken.json")


def test_sha256_is_of_the_bytes(tmp_path):
    content = bytes(range(256)) * 5000
    (tmp_path / "x").write_bytes(content)
    assert sha256_file(tmp_path / "x") == hashlib.sha256(content).hexdigest()
