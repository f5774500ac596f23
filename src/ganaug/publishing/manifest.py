"""The manifest of a merged dataset, and the names of what lies beside the shards."""

from pathlib import Path
from typing import Any

from ganaug.errors import DatasetError
from ganaug.fileio import read_json
from ganaug.records import SPLITS

MANIFEST = "manifest.json"
CARD = "README.md"
CLASSICAL = "classical.json"  # policy of classical augmentation, as albumentations writes it


def read_manifest(folder: Path) -> dict[str, Any]:
    """manifest.json of a merged dataset.

    Raises:
        DatasetError: it is missing or is not one.
    """
    manifest: dict[str, Any] = read_json(folder / MANIFEST)
    missing = [key for key in ("files", "classes", "counts", "documents") if key not in manifest]
    if missing:
        raise DatasetError(f"{folder / MANIFEST}: lacks {', '.join(missing)}; run the stage merge")
    return manifest


def shards_of(
    folder: Path, manifest: dict[str, Any], split: str, *, real_only: bool = False
) -> list[Path]:
    """The shards of train, val or test, in order.

    Raises:
        DatasetError: there is no such split.
    """
    if split not in SPLITS:
        raise DatasetError(f"no split {split!r}; there are {', '.join(SPLITS)}")
    return [
        folder / name
        for name, facts in sorted(manifest["files"].items())
        if facts["split"] == split and not (real_only and facts["source"] == "synthetic")
    ]
