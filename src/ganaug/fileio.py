"""Write files whole or not at all: to a temporary name, flush, rename.

A killed process leaves its temporary files and folders behind. Their names tell machine and
process, and the next process removes them.
"""

import hashlib
import json
import os
import platform
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import psutil

from ganaug.errors import DatasetError, one_line

SEAL = "seal"  # last key of a sealed document: the hash of the rest


@contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """Give a temporary path beside `path`; on success flush it and rename it into place."""
    path.parent.mkdir(parents=True, exist_ok=True)
    sweep(path.parent)
    temporary = path.with_name(f".{path.name}.{_owner()}.tmp")
    try:
        yield temporary
        with temporary.open("rb") as written:
            os.fsync(written.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _owner() -> str:
    return f"{platform.node()}-{os.getpid()}"


def sweep(folder: Path) -> None:
    """Remove what killed processes of this machine left in a folder, where that is allowed."""
    _sweep(folder.absolute(), os.getpid())


@cache  # once a process and folder, for the folder may hold many files
def _sweep(folder: Path, _process: int) -> None:
    left = re.compile(rf"(?:\..*\.|ganaug-){re.escape(platform.node())}-(\d+)(?:\.tmp|-\w+)", re.S)
    for path in folder.iterdir():
        if (found := left.fullmatch(path.name)) and not psutil.pid_exists(int(found[1])):
            shutil.rmtree(path, ignore_errors=True)
            with suppress(OSError):
                path.unlink()


def make_scratch(parent: Path | None = None) -> Path:
    """A new folder, by default among the temporary ones; those of killed runs are removed."""
    parent = parent or Path(tempfile.gettempdir())
    sweep(parent)
    return Path(tempfile.mkdtemp(prefix=f"ganaug-{_owner()}-", dir=parent))


@contextmanager
def scratch(parent: Path | None = None) -> Iterator[Path]:
    """A folder of `make_scratch`, removed at the end."""
    folder = make_scratch(parent)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """Give an empty temporary folder beside `path`; on success it takes the place of `path`.

    A folder can't be renamed over a full one, so the old one is first renamed to a backup. If the
    process is killed in between, the next call restores the backup. A backup is always whole; a
    temporary folder is never needed.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary, backup = path.with_name(f".{path.name}.tmp"), path.with_name(f".{path.name}.old")
    _tidy(path, temporary, backup)
    temporary.mkdir()
    try:
        yield temporary
        if path.exists():
            path.replace(backup)
        temporary.replace(path)
    finally:
        _tidy(path, temporary, backup)


def _tidy(path: Path, temporary: Path, backup: Path) -> None:
    """Restore the backup if nothing is in its place; remove the rest."""
    shutil.rmtree(temporary, ignore_errors=True)
    if backup.exists():
        # Rename before removing: a half-removed backup must not look like a whole one.
        backup.replace(temporary if path.exists() else path)
        shutil.rmtree(temporary, ignore_errors=True)


@dataclass(frozen=True, slots=True)
class Span:
    """A place inside a file. `bytes(span)` reads it, so many spans take little memory."""

    path: Path
    start: int
    length: int

    def __len__(self) -> int:
        return self.length

    def __bytes__(self) -> bytes:
        with self.path.open("rb") as file:
            file.seek(self.start)
            return file.read(self.length)


def write_bytes(content: bytes, path: Path) -> None:
    """Write a file atomically."""
    with atomic_file(path) as temporary:
        temporary.write_bytes(content)


def write_text(text: str, path: Path) -> None:
    """Write UTF-8 text with its line ends as they are, atomically."""
    write_bytes(text.encode(), path)


def write_json(content: Any, path: Path) -> None:
    """Write JSON with a fixed layout, so that equal content gives equal bytes."""
    write_text(_layout(content), path)


def write_sealed(content: Mapping[str, Any], path: Path) -> None:
    """Write a JSON object that `read_json` refuses once a byte of it has changed."""
    write_json({**content, SEAL: _seal_of(content)}, path)


def _layout(content: Any) -> str:
    return json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _seal_of(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(_layout(content).encode()).hexdigest()


def read_json(path: Path) -> Any:
    """Read JSON; a seal is checked and left out.

    Raises:
        DatasetError: the file is missing, is not JSON, or its seal is broken.
    """
    try:
        text = path.read_bytes().decode()
        content = json.loads(text)
        if isinstance(content, dict) and SEAL in content:
            seal = content.pop(SEAL)
            if seal != _seal_of(content) or text != _layout({**content, SEAL: seal}):
                raise ValueError("changed since it was written: its seal is broken")
    except FileNotFoundError:
        raise DatasetError(
            f"{path}: no such file; run the stage that writes it, or name another folder"
        ) from None
    except (ValueError, RecursionError) as error:
        raise DatasetError(
            f"{path}: not valid JSON ({one_line(error)}); run the stage that writes it again"
        ) from None
    return content


def is_sealed(path: Path) -> bool:
    """Whether a JSON file that can be read has a seal."""
    return f'  "{SEAL}": "'.encode() in path.read_bytes()


def require_files(
    folder: Path, files: Mapping[str, Mapping[str, Any]], *, listed_in: str, stage: str
) -> None:
    """Check that the files that a stage lists lie in its folder, with the bytes that it wrote.

    Args:
        folder: of the stage.
        files: `bytes` and `sha256` by file name.
        listed_in: name of the list, for errors.
        stage: to run again, for errors.
    Raises:
        DatasetError: one is missing, has changed or is named by a path.
    """
    for name, facts in files.items():
        path, remedy = folder / name, f"run {stage} again"
        if Path(name).name != name:
            raise DatasetError(f"{folder / listed_in}: {name!r} is no name of a file; {remedy}")
        if not path.is_file():
            raise DatasetError(f"{path}: listed in {listed_in} but missing; {remedy}")
        if (size := path.stat().st_size) != facts["bytes"]:
            stated = f"{listed_in} says {facts['bytes']}"
            raise DatasetError(f"{path}: {size} bytes, {stated}; {remedy}")
        if sha256_file(path) != facts["sha256"]:
            raise DatasetError(
                f"{path}: changed after the stage {stage} wrote it (its sha256 is not that in "
                f"{listed_in}); {remedy}"
            )


def sha256_file(path: Path) -> str:
    """Hexadecimal SHA-256 of a file's bytes, read in blocks."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
