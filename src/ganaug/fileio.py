"""Write files whole or not at all: to a temporary name, flush, rename."""

import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ganaug.errors import DatasetError


@contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """Give a temporary path beside `path`; on success flush it and rename it into place."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        yield temporary
        with temporary.open("rb") as written:
            os.fsync(written.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


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


def write_text(text: str, path: Path) -> None:
    """Write UTF-8 text with Unix line ends, atomically."""
    with atomic_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")


def write_json(content: Any, path: Path) -> None:
    """Write JSON with a fixed layout, so that equal content gives equal bytes."""
    write_text(json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n", path)


def read_json(path: Path) -> Any:
    """Read JSON.

    Raises:
        DatasetError: the file is missing or is not JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DatasetError(
            f"{path}: no such file; run the stage that writes it, or name another folder"
        ) from None
    except json.JSONDecodeError as error:
        raise DatasetError(f"{path}: not valid JSON ({error})") from None


def sha256_file(path: Path) -> str:
    """Hexadecimal SHA-256 of a file's bytes, read in blocks."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
