"""The rows of a merged dataset, images included, one at a time: memory does not grow with them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from ganaug.errors import DatasetError
from ganaug.fileio import read_json
from ganaug.shards import ROWS_PER_GROUP

MANIFEST = "manifest.json"


def read_manifest(folder: Path) -> dict[str, Any]:
    """manifest.json of a merged dataset.

    Raises:
        DatasetError: it is missing or is not one.
    """
    manifest: dict[str, Any] = read_json(folder / MANIFEST)
    missing = [key for key in ("files", "classes", "counts") if key not in manifest]
    if missing:
        raise DatasetError(f"{folder / MANIFEST}: lacks {', '.join(missing)}; run the stage merge")
    return manifest


def iter_rows(path: Path) -> Iterator[tuple[dict[str, Any], bytes]]:
    """Metadata and PNG of each row of a shard, in order.

    Raises:
        DatasetError: the shard can't be read.
    """
    try:
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(ROWS_PER_GROUP):
                for row in batch.to_pylist():
                    yield row, row.pop("image")["bytes"]
    except (pa.ArrowException, OSError, TypeError, KeyError) as error:
        raise DatasetError(f"{path}: not a readable shard ({error})") from None
