"""The manifest of a merged dataset, and the names of what lies beside the shards."""

from pathlib import Path
from typing import Any

from ganaug.errors import DatasetError
from ganaug.fileio import read_json

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
