"""Class folders: ROOT/cat/*.png, or split folders with class folders: ROOT/train/cat/*.png.

Every file below a class folder counts, in subfolders too, unless hidden. A file that is no image
is not skipped here: `reading.py` rejects it, with its name and the reason. Beside the class folders
other files may lie, but no images.
"""

import os
from collections.abc import Iterator, Set
from pathlib import Path

from ganaug.config import FilesParams, PrepareParams
from ganaug.errors import SourceError
from ganaug.sources.base import Source, SourceImage
from ganaug.sources.files import describe, find, image_suffixes, make_image, split_named
from ganaug.sources.remote import Place, RemotePath


def load_folder(params: PrepareParams, *, suffixes: Set[str] | None = None) -> Source:
    """The files in sorted order; `suffixes` of what may not lie outside, by default images.

    Raises:
        SourceError: there are no class folders, or an image lies outside of them.
    """
    root = find(params.files.path, what="a folder of class folders")
    if not root.is_dir():
        raise SourceError(f"prepare.files.path: {root} is not a folder, or its server lists none")
    class_folders = find_class_folders(root, suffixes or image_suffixes())
    facts = describe(params.files, (folder.name for folder, _ in class_folders))
    return Source(facts, _images(root, class_folders, params.files))


def find_class_folders(root: Place, suffixes: Set[str]) -> list[tuple[Place, str | None]]:
    """Class folders, each with its split, or None if there are no split folders.

    Raises:
        SourceError: there are none, split folders and others are mixed, or an image lies beside
            the folders.
    """
    folders = _subfolders(root, suffixes)
    splits = {folder: split_named(folder.name) for folder in folders}
    found = list(splits.items())
    if all(splits.values()):
        found = [(inner, split) for outer, split in found for inner in _subfolders(outer, suffixes)]
    elif any(splits.values()):
        strange = next(folder.name for folder, split in splits.items() if split is None)
        raise SourceError(
            f"{root}: {strange!r} lies beside split folders; put it below train, val or test"
        )
    if not found:
        raise SourceError(f"{root}: no class folders; put images in a folder named as their class")
    inner, _ = found[0]
    inside = [entry for entry in inner.iterdir() if not entry.name.startswith(".")]
    if len(found) == 1 and inside and all(entry.is_dir() for entry in inside):
        raise SourceError(
            f"{root}: its only class folder, {inner.name}, holds nothing but folders; if those are "
            f"the classes, give {inner}"
        )
    return found


def _subfolders(folder: Place, suffixes: Set[str]) -> list[Place]:
    entries = sorted(entry for entry in folder.iterdir() if not entry.name.startswith("."))
    folders = [entry for entry in entries if entry.is_dir()]
    files = [entry for entry in entries if entry not in folders]
    if stray := [file for file in files if file.suffix.lower() in suffixes]:
        raise SourceError(
            f"{stray[0]}: an image outside of every class folder ({len(stray)} in all); "
            "move it into the folder of its class"
        )
    return folders


def _images(
    root: Place, class_folders: list[tuple[Place, str | None]], params: FilesParams
) -> Iterator[SourceImage]:
    for folder, split in class_folders:
        for path in _files_below(folder):
            # A name that is not UTF-8 must not stop the stage when it is written.
            name = os.fsencode(path.relative_to(root).as_posix()).decode(errors="replace")
            yield make_image(name, folder.name, path, params, split=split)


def _files_below(folder: Place) -> Iterator[Place]:
    if isinstance(folder, RemotePath):  # in the order of a walk: a folder's files, then its folders
        yield from sorted(folder.files(), key=_steps)
        return
    for parent, folders, files in os.walk(folder, followlinks=True, onerror=_refuse):
        above = {Path(parent).resolve(), *Path(parent).resolve().parents}
        folders[:] = sorted(
            name
            for name in folders
            if not name.startswith(".") and (Path(parent) / name).resolve() not in above
        )
        yield from (Path(parent) / name for name in sorted(files) if not name.startswith("."))


def _steps(path: Place) -> list[tuple[bool, str]]:
    return [*((True, part) for part in path.parts[:-1]), (False, path.name)]


def _refuse(error: OSError) -> None:
    raise SourceError(f"{error.filename}: {error.strerror}; its images would be missed")
