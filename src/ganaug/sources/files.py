"""What the sources of your own files share: facts from the params, groups, names of splits."""

import re
import tarfile
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

from PIL import Image

from ganaug.config import FilesParams
from ganaug.errors import SourceError
from ganaug.sources.base import SourceFacts

FOREIGN_SUFFIXES = {".heic", ".heif", ".avif"}  # of images that Pillow may be unable to read
# Documents, films and tables that Pillow knows too; such a file beside images is no image.
OTHER_SUFFIXES = {".pdf", ".ps", ".eps", ".mpg", ".mpeg", ".h5", ".hdf", ".grib", ".bufr"}
# As others call them; a source may speak of any.
SPLIT_NAMES = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "dev": "val",
    "test": "test",
    "testing": "test",
}


@cache  # Pillow loads all its readers to answer
def image_suffixes() -> frozenset[str]:
    """Endings that speak of an image, in lower case, whether or not it can be decoded."""
    return frozenset((Image.registered_extensions().keys() | FOREIGN_SUFFIXES) - OTHER_SUFFIXES)


def iter_tar(tar: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    """The members; `tarfile` alone takes a header that is cut or broken for the end.

    Raises:
        tarfile.ReadError: the tar does not end as one does.
    """
    yield from tar
    assert tar.fileobj is not None  # open for reading
    tar.fileobj.seek(tar.offset)
    if tar.fileobj.read(tarfile.BLOCKSIZE) != tarfile.NUL * tarfile.BLOCKSIZE:
        raise tarfile.ReadError(f"cut short or damaged at byte {tar.offset}")


def describe(params: FilesParams, classes: Iterable[str]) -> SourceFacts:
    """Facts of a dataset of files; classes in sorted order.

    Raises:
        SourceError: two classes differ by case or space only, which is nearly always a typo.
    """
    names = sorted(set(classes))
    seen: dict[str, str] = {}
    for name in names:
        if name in (".", "..") or set("/\\") & set(name):
            raise SourceError(f"{params.path}: class {name!r} can't be a folder's name; rename it")
        key = "".join(name.split()).casefold()
        if key in seen:
            raise SourceError(
                f"{params.path}: classes {seen[key]!r} and {name!r} differ by case or space only; "
                "give them one name"
            )
        seen[key] = name
    return SourceFacts(
        name=params.name,
        version="unversioned",
        license=params.license,
        citation=params.citation,
        homepage=params.homepage,
        classes=tuple(names),
        symmetries=params.flips,
    )


def group_of(name: str, pattern: str | None) -> str | None:
    """The group that a name tells, folders of its path with it; None without a pattern.

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


def split_of_shard(path: Path) -> str | None:
    """Split that a shard's name, as in train-00000.tar, or its folder's name speaks of."""
    return split_named(path.stem.split("-")[0]) or split_named(path.parent.name)


def split_named(value: str) -> str | None:
    """Train | val | test for the names in use, else None."""
    return SPLIT_NAMES.get(value.strip().lower())


def require_split(value: str, name: str) -> str:
    """`split_named`, of an image.

    Raises:
        SourceError: no split is called so; drawing another could train on what was held out.
    """
    split = split_named(value)
    if split is None:
        raise SourceError(f"{name}: split {value!r} is none of train, val, test")
    return split
