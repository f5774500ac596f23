import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ganaug.errors import DatasetError
from ganaug.fileio import atomic_file, atomic_folder, read_json, sha256_file, write_json, write_text


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


KILLED = """
import os, sys
from pathlib import Path
from ganaug.fileio import atomic_folder

left = int(sys.argv[2])

def dying(act):
    def call(*arguments, **options):
        global left
        left -= 1
        if left < 0:
            os._exit(9)
        return act(*arguments, **options)
    return call

with atomic_folder(Path(sys.argv[1])) as folder:
    for name in "xyz":
        (folder / name).write_text("new")
    for name in ("mkdir", "rename", "replace", "rmdir", "unlink"):
        setattr(os, name, dying(getattr(os, name)))
"""


def content(folder):
    return {path.name: path.read_text() for path in folder.iterdir()} if folder.exists() else None


def test_a_kill_between_any_two_steps_leaves_the_old_folder_or_the_new(tmp_path):
    old, new = dict.fromkeys("abc", "old"), dict.fromkeys("xyz", "new")
    path, backup = tmp_path / "out", tmp_path / ".out.old"
    found = []
    for step in range(20):
        shutil.rmtree(path, ignore_errors=True)
        with atomic_folder(path) as folder:
            for name, text in old.items():
                (folder / name).write_text(text)
        command = [sys.executable, "-c", KILLED, str(path), str(step)]
        exit_code = subprocess.run(command, check=False).returncode
        if exit_code == 0:
            break
        assert exit_code == 9
        left = content(path) or content(backup)
        assert left in (old, new)
        assert content(backup) in (None, old)
        with pytest.raises(KeyboardInterrupt), atomic_folder(path):
            raise KeyboardInterrupt
        assert content(path) == left  # put back
        assert [entry.name for entry in tmp_path.iterdir()] == ["out"]
        found.append(left)
    assert exit_code == 0
    assert content(path) == new
    assert found == [old] * found.count(old) + [new] * found.count(new)
    assert found.count(old) == 2  # before each of the two renames
    assert found.count(new) > 3  # while the backup is removed


@pytest.mark.parametrize("failing", [1, 2])
def test_a_rename_that_fails_leaves_the_old_folder(tmp_path, monkeypatch, failing):
    path = tmp_path / "out"
    with atomic_folder(path) as folder:
        (folder / "a").write_text("old")
    renamed = []

    def replace(self, target):
        renamed.append(target)
        if len(renamed) == failing:
            raise OSError("no more inodes")
        return self.rename(target)

    monkeypatch.setattr(Path, "replace", replace)
    with pytest.raises(OSError, match="no more inodes"), atomic_folder(path) as folder:
        (folder / "a").write_text("new")
    assert content(path) == {"a": "old"}
    assert list(tmp_path.iterdir()) == [path]
