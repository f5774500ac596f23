import contextlib
import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ganaug.errors import DatasetError
from ganaug.fileio import (
    atomic_file,
    atomic_folder,
    is_sealed,
    read_json,
    scratch,
    sha256_file,
    sweep,
    write_json,
    write_sealed,
    write_text,
)
from tests.refusal import refuses


def write_folder(path, files):
    with atomic_folder(path) as folder:
        for name, text in files.items():
            (folder / name).write_text(text)


def test_a_file_keeps_its_name_hidden_until_it_is_whole_and_the_old_one_till_then(tmp_path):
    path = tmp_path / "deep" / "a.txt"
    write_text("old", path)

    def tear():
        with atomic_file(path) as temporary:
            temporary.write_text("half")
            raise OSError("disk full")

    refuses(OSError, "disk full", tear)
    assert list(path.parent.iterdir()) == [path]
    with atomic_file(path) as temporary:
        temporary.write_text("new")
        assert path.read_text() == "old"
        assert temporary.parent == path.parent  # a rename within one file system
    assert path.read_text() == "new"


def test_a_folder_replaces_the_old_one_whole_or_not_at_all(tmp_path):
    out, leftover = tmp_path / "out", tmp_path / ".out.tmp"
    write_folder(out, {"one": "1"})
    leftover.mkdir()
    (leftover / "stale").write_text("from a killed run")

    def stop():
        with atomic_folder(out) as folder:
            assert list(folder.iterdir()) == []
            (folder / "two").write_text("2")
            assert content(out) == {"one": "1"}
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stop()
    assert [path.name for path in tmp_path.rglob("*")] == ["out", "one"]
    write_folder(out, {"two": "2"})
    assert content(out) == {"two": "2"}


def test_json_comes_back_as_it_was_or_is_refused_by_name(tmp_path):
    path, given = tmp_path / "x.json", {"b": [1, 2.5, None], "a": "Zürich"}
    write_json(given, path)
    text = path.read_text(encoding="utf-8")
    assert read_json(path) == given
    assert "Zürich" in text
    assert list(json.loads(text)) == ["b", "a"]
    refuses(ValueError, "not JSON compliant", write_json, {"kid": float("nan")}, path)
    assert path.read_text(encoding="utf-8") == text
    path.write_text("{")
    refuses(DatasetError, r"x\.json: not valid JSON", read_json, path)
    path.unlink()
    refuses(DatasetError, r"x\.json: no such file", read_json, path)


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
        write_folder(path, old)
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


def test_a_rename_that_fails_leaves_the_old_folder(tmp_path, monkeypatch):
    for failing in (1, 2):
        path, renamed = tmp_path / str(failing) / "out", []
        path.parent.mkdir()
        write_folder(path, {"a": "old"})

        def replace(self, target, *, failing=failing, renamed=renamed):
            renamed.append(target)
            if len(renamed) == failing:
                raise OSError("no more inodes")
            return self.rename(target)

        with monkeypatch.context() as full:
            full.setattr(Path, "replace", replace)
            refuses(OSError, "no more inodes", write_folder, path, {"a": "new"})
        assert content(path) == {"a": "old"}
        assert list(path.parent.iterdir()) == [path]


def test_what_is_no_text_or_nested_without_end_is_refused(tmp_path):
    path = tmp_path / "x.json"
    for content in (b'{"a": "\xff"}', b"[" * 100_000, b""):
        path.write_bytes(content)
        refuses(DatasetError, r"x\.json: not valid JSON .*; run the stage", read_json, path)


def test_a_seal_is_broken_by_any_changed_byte(tmp_path):
    path, given = tmp_path / "x.json", {"b": [1, 2.5, None], "a": "Zürich"}
    write_sealed(given, path)
    whole = path.read_bytes()
    assert read_json(path) == given
    for place in range(len(whole)):
        for bit in range(8):
            path.write_bytes(whole[:place] + bytes([whole[place] ^ 1 << bit]) + whole[place + 1 :])
            with contextlib.suppress(DatasetError):
                found = read_json(path)  # only if the byte is of the seal's own name
                assert {key: found[key] for key in given} == given
                assert not is_sealed(path)


LEFT = """
import os, sys
from pathlib import Path
from ganaug.fileio import atomic_file, make_scratch

folder = Path(sys.argv[1])
(make_scratch(folder) / "large").write_text("scratch")
with atomic_file(folder / "a.b.txt") as temporary:
    temporary.write_text("half")
    os._exit(9)
"""


def test_what_a_killed_process_left_goes_with_the_next_and_what_runs_stays(tmp_path):
    with scratch(tmp_path) as own:
        assert subprocess.run([sys.executable, "-c", LEFT, str(tmp_path)], check=False).returncode
        left = set(tmp_path.iterdir()) - {own}
        assert len(left) == 2
        other = tmp_path / f".x.elsewhere-{2**22}.tmp"  # of another machine
        other.write_text("half")
        sweep.__globals__["_sweep"].cache_clear()  # as in another process
        write_text("whole", tmp_path / "a.b.txt")
        assert set(tmp_path.iterdir()) == {own, other, tmp_path / "a.b.txt"}
