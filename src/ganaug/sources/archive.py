"""A zip or tar that holds any other layout: class folders, a table, Parquet, WebDataset.

It is unpacked to a temporary folder. Links, devices and members with a path that leads out of it
are left packed and rejected, each with its name and the reason.
"""

import shutil
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import IO

from ganaug.config import PrepareParams
from ganaug.errors import SourceError, explained
from ganaug.sources.base import Source, SourceImage, UnusableImage
from ganaug.sources.files import BROKEN, fetch, iter_tar, temporary_folder
from ganaug.sources.folder import load_folder
from ganaug.sources.parquet import load_parquet
from ganaug.sources.recognise import find_layout, is_webdataset
from ganaug.sources.table import load_table
from ganaug.sources.webdataset import load_webdataset

# Sources of files, by their names in `prepare.source`.
LAYOUTS: dict[str, Callable[[PrepareParams], Source]] = {
    "folder": load_folder,
    "table": load_table,
    "parquet": load_parquet,
    "webdataset": load_webdataset,
}
LINK, FILE_TYPE = 0o120000, 0o170000  # in the upper half of a zip member's attributes
LEFT_OUT = ("__MACOSX", "._")  # what macOS adds


Opener = Callable[[], IO[bytes] | None]  # of a member; None for a folder


def load_archive(params: PrepareParams) -> Source:
    """Unpack the archive; return the images of its layout and the refused members.

    Raises:
        SourceError: the archive is missing, broken, larger than the disk, has another sha256 than
            given, comes from a URL without a sha256, or holds no known layout.
    """
    path, sha256 = params.files.path, params.files.sha256
    if "://" in path and sha256 is None:
        raise SourceError(
            f"{path}: give prepare.files.sha256: an archive from a URL must be checked"
        )
    archive = fetch(path, what="a zip or tar", sha256=sha256)
    if is_webdataset(archive):
        return load_webdataset(_at(archive, params))
    facts = archive.stat()
    version = sha256 or f"{archive.resolve()} {facts.st_size} {facts.st_mtime_ns}"
    folder = temporary_folder() / "archive"  # part of some names, which must not change
    folder.mkdir()
    with explained(SourceError, f"{path}: not a whole zip or tar", *BROKEN):
        refused = list(_unpack(archive, folder))
    source, inner = find_layout(folder, params.table)
    if source not in LAYOUTS:
        raise SourceError(f"{path}: holds {source}; unpack it and set prepare.source to {source}")
    loaded = LAYOUTS[source](_at(inner, params))
    return Source(loaded.facts, _images(loaded, refused, folder, version))


def _at(path: Path, params: PrepareParams) -> PrepareParams:
    files = params.files.model_copy(update={"path": str(path)})
    return params.model_copy(update={"files": files})


def _images(
    loaded: Source, refused: list[tuple[str, UnusableImage]], folder: Path, version: str
) -> Iterator[SourceImage]:
    for number, (name, why) in enumerate(refused):
        # Numbered, since a name may occur twice, and may be that of a good image too.
        yield SourceImage(f"{name} (refused {number + 1})", "", None, None, content=why)
    root = folder.resolve()
    for image in loaded.images:
        content = image.content
        outside = isinstance(content, Path) and not content.resolve().is_relative_to(root)
        why = UnusableImage("outside", "a table's path that leads out of the archive")
        yield replace(image, content=why if outside else content, version=version)


def _unpack(archive: Path, folder: Path) -> Iterator[tuple[str, UnusableImage]]:
    """Unpack what is safe; yield the names of the other members, with the reason."""
    opened = zipfile.ZipFile if zipfile.is_zipfile(archive) else tarfile.open
    with opened(archive) as whole:
        members = list(_members(whole))
        size, free = sum(size for _, size, *_ in members), shutil.disk_usage(folder).free
        if size > free:
            raise SourceError(f"{archive} unpacks to {size} bytes; {folder} has {free} free")
        root = folder.resolve()
        for name, _, is_plain, opener in members:
            place = (root / name.replace("\\", "/")).resolve()
            if not place.is_relative_to(root):
                yield name, UnusableImage("outside", "a path that leads out of the archive")
            elif not is_plain:
                yield (
                    name,
                    UnusableImage("link", "a link or device in the archive; pack files only"),
                )
            elif place.is_file():
                yield name, UnusableImage("name_twice", "the archive has it twice")
            elif not any(part.startswith(LEFT_OUT) for part in Path(name).parts):
                _write(opener, place)


def _members(
    whole: zipfile.ZipFile | tarfile.TarFile,
) -> Iterator[tuple[str, int, bool, Opener]]:
    """Name, bytes when unpacked, whether it is a file or folder, and what opens it."""
    if isinstance(whole, zipfile.ZipFile):
        for info in whole.infolist():
            is_plain = (info.external_attr >> 16) & FILE_TYPE != LINK
            opener: Opener = (lambda: None) if info.is_dir() else partial(whole.open, info)
            yield info.filename, info.file_size, is_plain, opener
        return
    for entry in iter_tar(whole):
        is_plain = entry.isfile() or entry.isdir()
        yield entry.name, entry.size, is_plain, partial(whole.extractfile, entry)


def _write(opener: Opener, place: Path) -> None:
    """Write the bytes only, without owner or mode: needs no filter of `tarfile` (Python 3.11.4)."""
    content = opener()
    if content is None:
        place.mkdir(parents=True, exist_ok=True)
        return
    place.parent.mkdir(parents=True, exist_ok=True)
    with content, place.open("wb") as file:
        shutil.copyfileobj(content, file)
