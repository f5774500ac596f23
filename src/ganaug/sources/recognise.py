"""Find the source that reads a path or URL, from the files there.

Parquet and Arrow files that hold images come first. Folders with images are class folders, even
with a table beside them. Inside an archive, a table of its images wins, recognised by its columns.
"""

import tarfile
from collections import defaultdict
from pathlib import Path

import pyarrow as pa

from ganaug.config import TableParams
from ganaug.errors import RemoteError, SourceError
from ganaug.sources.audio import SOUND_SUFFIXES
from ganaug.sources.files import BROKEN, NO_GRADIENT, TEXT_SUFFIXES, find, image_suffixes
from ganaug.sources.parquet import find_tables, read_schema
from ganaug.sources.remote import Place
from ganaug.sources.webdataset import LABELS, halves

EXPECTED = "a folder, a .csv or .parquet file, or a zip or tar"
SOURCES = {".csv": "table", ".parquet": "parquet"} | dict.fromkeys(
    (".zip", ".tar", ".tgz", ".gz", ".bz2", ".xz"), "archive"
)
NUM_LOOKED_AT = 32  # of a tar's members


def recognise(path: str) -> str:
    """Name of the source: folder | audio | table | parquet | webdataset | archive.

    Raises:
        SourceError: nothing is there, or no source reads it.
    """
    place = find(path, what=EXPECTED)
    source = SOURCES.get(place.suffix.lower())
    if place.is_dir():
        return _recognise_folder(place)
    if source is None:
        hint = f"; {NO_GRADIENT}" if place.suffix.lower() in TEXT_SUFFIXES else ""
        raise SourceError(f"{path}: expected {EXPECTED}{hint}")
    if source == "parquet" and _columns(place) and not _holds_images(place):
        return "table"
    return "webdataset" if source == "archive" and is_webdataset(place) else source


def find_layout(folder: Path, columns: TableParams) -> tuple[str, Path]:
    """Source and path for an unpacked archive; enters a folder that has no siblings."""
    shown = _shown(folder)
    while len(shown) == 1 and shown[0].is_dir():
        folder, shown = shown[0], _shown(shown[0])
    for file in shown:
        if {columns.image, columns.label} <= set(_columns(file)) and not _holds_images(file):
            return "table", file
    return _recognise_folder(folder), folder


def is_webdataset(path: Place) -> bool:
    """Whether a file is a tar in which an image has a label of the same name beside it."""
    try:
        with path.open("rb") as file, tarfile.open(fileobj=file) as tar:
            first = [member.name for _, member in zip(range(NUM_LOOKED_AT), tar, strict=False)]
    except (*BROKEN, RemoteError):  # a server may not give parts of a file
        return False
    suffixes = defaultdict[str, set[str]](set)
    for name in first:
        key, suffix = halves(name)
        suffixes[key].add(suffix)
    return any(found & LABELS and found & image_suffixes() for found in suffixes.values())


def _recognise_folder(folder: Place) -> str:
    tables = find_tables(folder)
    if any(_holds_images(table, bare=False) for table in tables):
        return "parquet"
    if any(path.suffix.lower() in image_suffixes() for path in folder.rglob("*/*")):
        return "folder"
    if any(path.suffix.lower() in SOUND_SUFFIXES for path in folder.rglob("*/*")):
        return "audio"
    if tables:
        return "parquet"
    if any(path.suffix == ".tar" for path in folder.iterdir()):
        return "webdataset"
    files = [path for path in folder.rglob("[!.]*") if path.is_file()]
    if files and all(path.suffix.lower() in TEXT_SUFFIXES for path in files):
        raise SourceError(f"{folder}: nothing but text; {NO_GRADIENT}")
    return "folder"


def _holds_images(path: Place, *, bare: bool = True) -> bool:
    """Whether a file of `find_tables` has a column {bytes, path}, as `datasets` has, or bytes."""
    kinds = [kind for kind in _columns(path).values() if kind is not None]
    return any(
        (pa.types.is_struct(kind) and kind.get_field_index("bytes") >= 0)
        or (bare and (pa.types.is_binary(kind) or pa.types.is_large_binary(kind)))
        for kind in kinds
    )


def _columns(path: Place) -> dict[str, pa.DataType | None]:
    """Type of each column of a table (None in a .csv); empty if it can't be read as one."""
    if path.suffix.lower() == ".csv" and path.is_file():
        with path.open("rb") as file:
            header = file.readline().decode("utf-8-sig", errors="replace")
        return dict.fromkeys(header.replace('"', "").strip().split(","))
    schema = pa.schema([])
    if path.suffix.lower() in (".parquet", ".arrow"):
        try:
            schema = read_schema(path)
        except RemoteError:
            raise
        except SourceError:
            pass
    return dict(zip(schema.names, schema.types, strict=True))


def _shown(folder: Path) -> list[Path]:
    """Folders, and files of a kind that some source reads."""
    known = SOURCES.keys() | image_suffixes()
    return [
        entry
        for entry in sorted(folder.iterdir())
        if not entry.name.startswith(".") and (entry.is_dir() or entry.suffix.lower() in known)
    ]
