"""The folder that `generate` hands on: shards of accepted images, and synthetic.json."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ganaug.curating.curate import Curated
from ganaug.fileio import atomic_folder, write_json
from ganaug.shards import describe_files, write_shards


def write_synthetic(
    curated: Curated, facts: dict[str, Any], *, folder: Path, class_names: Sequence[str]
) -> None:
    """Write `train-synthetic-*.parquet` (none for no images) and synthetic.json, or nothing."""
    with atomic_folder(folder) as temporary:
        paths = write_shards(
            curated.rows,
            curated.images,
            folder=temporary,
            stem="train-synthetic",
            class_names=class_names,
        )
        write_json({**facts, "files": describe_files(paths)}, temporary / "synthetic.json")
