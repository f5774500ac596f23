"""Which source reads a path, told by what lies there."""

import tarfile
from pathlib import Path

from ganaug.config import TableParams
from ganaug.errors import SourceError

EXPECTED = "a folder, a .csv or .parquet file, or a zip or tar"
SOURCES = {".csv": "table", ".parquet": "parquet"} | dict.fromkeys(
    (".zip", ".tar", ".tgz", ".gz", ".bz2", ".xz"), "archive"
)
LABELS = {".cls", ".json"}  # beside an image of the same name in a tar of WebDataset


def recognise(path: str) -> str:
    """Name of the source: folder | table | parquet | webdataset | archive.

    Raises:
        SourceError: nothing is there, or no source reads it.
    """
    local, source = Path(path), SOURCES.get(Path(path).suffix.lower())
    if "://" in path:
        return source or "folder"
    if not local.exists():
        raise SourceError(f"{path} does not exist; give {EXPECTED}")
    if local.is_dir():
        return _recognise_folder(local)
    if source is None:
        raise SourceError(f"{path}: expected {EXPECTED}")
    return "webdataset" if source == "archive" and is_webdataset(local) else source


def find_layout(folder: Path, columns: TableParams) -> tuple[str, Path]:
    """Source and path of what an archive held, perhaps below folders that hold nothing else."""
    shown = _shown(folder)
    while len(shown) == 1 and shown[0].is_dir():
        folder, shown = shown[0], _shown(shown[0])
    for table in (entry for entry in shown if entry.suffix.lower() == ".csv"):
        with table.open(encoding="utf-8-sig", errors="replace") as file:
            header = file.readline().replace('"', "").strip().split(",")
        if {columns.image, columns.label} <= set(header):
            return "table", table
    return _recognise_folder(folder), folder


def is_webdataset(path: Path) -> bool:
    """Whether a file is a tar whose first sample has a label beside it."""
    try:
        with tarfile.open(path) as tar:
            first = [Path(member.name) for _, member in zip(range(8), tar, strict=False)]
    except (tarfile.TarError, OSError, EOFError):
        return False
    return any(name.suffix in LABELS for name in first)


def _recognise_folder(folder: Path) -> str:
    if any(folder.rglob("*.parquet")):
        return "parquet"
    return "webdataset" if any(folder.glob("*.tar")) else "folder"


def _shown(folder: Path) -> list[Path]:
    return [entry for entry in folder.iterdir() if not entry.name.startswith(".")]
