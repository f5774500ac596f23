"""Shared by the sources of your own files: finding files, facts, groups, names of splits."""

import atexit
import lzma
import re
import shutil
import tarfile
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path

from PIL import Image

from ganaug.config import FilesParams, TableParams
from ganaug.errors import SourceError
from ganaug.fileio import make_scratch, sha256_file
from ganaug.sources.base import SourceFacts, SourceImage, UnusableImage, refuse_size
from ganaug.sources.remote import Facts, Place, RemotePath, read_together, version_of

FOREIGN_SUFFIXES = {".heic", ".heif", ".avif"}  # of images that Pillow may be unable to read
# Documents, films and tables that Pillow also knows; not images.
OTHER_SUFFIXES = {".pdf", ".ps", ".eps", ".mpg", ".mpeg", ".h5", ".hdf", ".grib", ".bufr"}
TEXT_SUFFIXES = {".txt", ".json", ".jsonl", ".md", ".xml", ".html"}
# Why data without pixels are refused, and what to use (Goodfellow et al. 2014, section 3: G learns
# from D's gradient with respect to what G made).
NO_GRADIENT = (
    "a GAN learns from gradients through what it makes, and a word, a category or a one-hot vector "
    "has none; for rows of a table use SMOTENC (imbalanced-learn) or CTGAN, for text a language "
    "model"
)
# What the readers of zips and tars raise of a damaged one.
BROKEN = (
    *(OSError, EOFError, RuntimeError, ValueError),
    *(tarfile.TarError, zipfile.BadZipFile, zlib.error, lzma.LZMAError),
)
# Files at a URL in memory.
MOST_TOGETHER, BYTES_TOGETHER = 64, 2**24
# Names of splits that datasets use, and ours.
SPLIT_NAMES = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "dev"), "val"),
    **dict.fromkeys(("test", "testing"), "test"),
}


def find(path: str, *, what: str) -> Place:
    """A file or folder here, or at a URL.

    Args:
        path: a local path, or a URL of any scheme that fsspec knows.
        what: what to expect there, for the error.
    Raises:
        SourceError: nothing is there; of a URL, that shows when it is read.
    """
    found = RemotePath(path) if "://" in path else Path(path)
    if isinstance(found, Path) and not found.exists():
        raise SourceError(f"prepare.files.path: {path} does not exist; give {what}")
    return found


def fetch(path: str, *, what: str, sha256: str | None) -> Path:
    """Local path of a file; copy it to a temporary folder first if it is at a URL.

    Raises:
        SourceError: nothing is there, it can't be copied, or it has another sha256.
    """
    local = find(path, what=what)
    if isinstance(local, RemotePath):
        remote, local = local, temporary_folder() / local.name
        remote.call("get_file", str(local))
    found = sha256_file(local) if sha256 and local.is_file() else sha256
    if found != sha256:
        raise SourceError(f"{path}: its sha256 is {found}, but prepare.files.sha256 is {sha256}")
    return local


def temporary_folder() -> Path:
    """A new folder that is removed when the program ends."""
    folder = make_scratch()
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


@cache  # Pillow loads all its readers to answer
def image_suffixes() -> frozenset[str]:
    """Suffixes of image files in lower case, also of those that can't be decoded here."""
    return frozenset((Image.registered_extensions().keys() | FOREIGN_SUFFIXES) - OTHER_SUFFIXES)


def iter_tar(tar: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    """Yield the members; refuse a tar that is cut short (`tarfile` alone just stops).

    Raises:
        tarfile.ReadError: the mark of a tar's end is missing.
    """
    yield from tar
    assert tar.fileobj is not None  # open for reading
    tar.fileobj.seek(tar.offset)
    if tar.fileobj.read(tarfile.BLOCKSIZE) != tarfile.NUL * tarfile.BLOCKSIZE:
        raise tarfile.ReadError(f"cut short or damaged at byte {tar.offset}")
    while tar.fileobj.read(2**20):  # to the checksum of a packed one
        pass


def describe(params: FilesParams, classes: Iterable[str]) -> SourceFacts:
    """Facts of a dataset of files; classes in sorted order.

    Raises:
        SourceError: two classes differ by case or space only, which is nearly always a typo.
    """
    seen: dict[str, str] = {}
    for name in sorted(set(classes)):
        if name in (".", "..") or set("/\\") & set(name):
            raise SourceError(f"{params.path}: class {name!r} can't be a folder's name; rename it")
        key = "".join(name.split()).casefold()
        if key in seen:
            raise SourceError(
                f"{params.path}: classes {seen[key]!r} and {name!r} differ by case or space only; "
                "give them one name"
            )
        seen[key] = name
    stated = params.model_dump(include={"name", "license", "citation", "homepage", "people"})
    names, flips = tuple(seen.values()), params.flips
    return SourceFacts(**stated, version="unversioned", classes=names, symmetries=flips)


def named_columns(columns: TableParams, there: Iterable[str], path: Place) -> dict[str, str]:
    """{image, label, and group and split where named: column of a table}.

    Raises:
        SourceError: the table lacks one.
    """
    named = {key: column for key, column in columns.model_dump().items() if column is not None}
    for key, column in named.items():
        if column not in there:
            hint = f". Without a column of images: {NO_GRADIENT}" if key == "image" else ""
            raise SourceError(
                f"{path}: no column {column!r}; there are {', '.join(map(str, there))}: name the "
                f"right one in prepare.table.{key}{hint}"
            )
    return named


def group_of(name: str, pattern: str | None) -> str | None:
    """Find the group in a name, which may be a path; None without a pattern.

    Raises:
        SourceError: the pattern finds nothing in the name.
    """
    if pattern is None:
        return None
    found = re.search(pattern, name)
    if found is None or not found[1]:
        raise SourceError(
            f"prepare.files.group_pattern: {pattern!r} finds no group in {name!r}; "
            "a file without group could be in two splits at once"
        )
    return found[1]


def split_of_shard(path: Place) -> str | None:
    """Split named by a shard, as in train-00000.tar, else by its folder."""
    return split_named(path.stem.split("-")[0]) or split_named(path.parent.name)


def split_named(value: str) -> str | None:
    """Train | val | test for any name in `SPLIT_NAMES`, else None."""
    return SPLIT_NAMES.get(value.strip().lower())


def make_image(
    name: str,
    class_name: str,
    content: bytes | Place | UnusableImage,
    params: FilesParams,
    *,
    group: object = None,
    split: str | None = None,
) -> SourceImage:
    """An image with its group as stated, else as its name says, and the split that is stated.

    Raises:
        SourceError: no split has that name, since a guess could train on what was held out; or the
            name holds no group where it should.
    """
    known = None if split is None else split_named(split)
    if known is None and split is not None:
        raise SourceError(f"{name}: split {split!r} is none of train, val, test")
    found = group_of(name, params.group_pattern) if group is None else str(group)
    return SourceImage(name, class_name, found, known, content)


def as_listed(
    images: Iterable[SourceImage], files: dict[RemotePath, Facts]
) -> Iterator[SourceImage]:
    """Give images at a URL the version that was listed; refuse those that are not there or huge."""
    for image in images:
        path = image.content
        if not isinstance(path, RemotePath):
            yield image
        elif (facts := files.get(path)) is None:
            yield replace(image, content=UnusableImage("unreadable", "no such file"))
        else:
            size = facts["size"]  # None: the server does not say
            content = path if size is None else refuse_size(size) or path
            version = f"{path} {version_of(facts)}"
            yield replace(image, content=content, version=version, num_bytes=size or 0)


def fetched(images: Iterable[SourceImage]) -> Iterator[SourceImage]:
    """The images, those at a URL with their bytes, which are read many at a time.

    Raises:
        RemoteError: one can't be read.
    """
    part, size = list[SourceImage](), 0
    for image in images:
        part.append(image)
        size += image.num_bytes
        if len(part) == MOST_TOGETHER or size >= BYTES_TOGETHER:
            yield from _fetch(part)
            part, size = [], 0
    yield from _fetch(part)


def _fetch(images: list[SourceImage]) -> Iterator[SourceImage]:
    found = read_together([i.content for i in images if isinstance(i.content, RemotePath)])
    for image in images:
        path = image.content
        yield replace(image, content=found[path]) if isinstance(path, RemotePath) else image
