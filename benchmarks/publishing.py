"""Merge and verify of a million rows of tiny images: memory stays flat, real rows cost a copy.

The limit for real rows is copying their shards; what merge takes beyond that should follow the
synthetic rows alone. `python -m benchmarks.publishing 50000` takes fewer rows.
"""

import shutil
import sys
import tempfile
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.small_run import (
    CLASSES,
    CLASSICAL,
    PROVENANCE,
    SOURCE,
    merge,
    synthetic_document,
)
from benchmarks.timing import seconds_of
from ganaug.budget import peak_memory_mib
from ganaug.downstream.classical import ClassicalAugmentation
from ganaug.fileio import write_json
from ganaug.images import encode_png, pixel_id
from ganaug.publishing.verify import verify_dataset
from ganaug.records import METADATA_COLUMNS, SPLITS
from ganaug.shards import describe_files, write_shards

SIDE = 4  # pixels
BLOCK = 50_000  # rows made at a time
SYNTHETIC_FRACTION = 0.2  # of all rows


def main(num_rows: int = 1_000_000) -> None:
    """Print time a row, ratios and peak memory of merge and verify, at a quarter and in full."""
    for rows in (num_rows // 4, num_rows):
        with tempfile.TemporaryDirectory(prefix="bench-publishing-") as name:
            _measure(Path(name), rows)


def _measure(folder: Path, num_rows: int) -> None:
    num_real, num_synthetic = write_stages(folder, num_rows)
    copying = seconds_of(partial(shutil.copytree, folder / "prepared", folder / "copy"))
    real_only = partial(merge, on_reject="real_only")
    real, _ = in_own_process(real_only, folder, "ship_real_only")
    both, memory = in_own_process(merge, folder, "ship")
    checking, verify_memory = in_own_process(verify_dataset, folder / "augmented")
    print(
        f"merge: {num_real} real rows {real:.1f} s (copy alone {copying:.1f}), "
        f"{num_synthetic} synthetic ones {both - real:.1f} s more; a synthetic row costs "
        f"{(both - real) / num_synthetic / (real / num_real):.0f} times a real one; "
        f"peak {memory:.0f} MiB"
    )
    print(
        f"verify: {num_rows} rows {checking:.1f} s, {checking / num_rows * 1e6:.0f} us a row; "
        f"peak {verify_memory:.0f} MiB",
        flush=True,
    )


def in_own_process(work: Callable[..., object], *arguments: Any) -> tuple[float, float]:
    """Seconds, and peak memory in MiB, of `work(*arguments)` in a fresh process."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(_timed, work, *arguments).result()


def _timed(work: Callable[..., object], *arguments: Any) -> tuple[float, float]:
    ClassicalAugmentation((), CLASSICAL, seed=0)  # its import takes a second
    return seconds_of(partial(work, *arguments)), peak_memory_mib()


def write_stages(folder: Path, num_rows: int) -> tuple[int, int]:
    """Write what prepare and generate would; how many real and synthetic rows."""
    num_synthetic = round(num_rows * SYNTHETIC_FRACTION)
    num_real = num_rows - num_synthetic
    _write_prepared(folder / "prepared", num_real)
    _write_synthetic(folder / "synthetic", num_synthetic, first=num_real)
    return num_real, num_synthetic


def _write_prepared(folder: Path, num_rows: int) -> None:
    """Nearly all rows in train, a thousandth in val and in test."""
    folder.mkdir()
    few = max(num_rows // 1000, 2)
    sizes = {"train": num_rows - 2 * few, "val": few, "test": few}
    paths, first = [], 0
    for split in SPLITS:
        stem = "train-real" if split == "train" else split
        paths += _write_blocks(folder, stem, sizes[split], first, split=split, group_id=split)
        first += sizes[split]
    document: dict[str, Any] = {
        "source": SOURCE,
        "classes": CLASSES,
        "resolution": SIDE,
        "channels": 1,
        "symmetries": [],
        "counts": {s: _counts(n) for s, n in sizes.items()},
        "num_images": {},
        "files": describe_files(paths),
    }
    write_json(document, folder / "prepared.json")


def _write_synthetic(folder: Path, num_rows: int, *, first: int) -> None:
    folder.mkdir()
    paths = _write_blocks(folder, "train-synthetic", num_rows, first, **PROVENANCE)
    write_json(synthetic_document(_counts(num_rows), paths), folder / "synthetic.json")


def _counts(num_rows: int) -> dict[str, int]:
    """Labels alternate."""
    return {CLASSES[0]: (num_rows + 1) // 2, CLASSES[1]: num_rows // 2}


def _write_blocks(folder: Path, stem: str, num_rows: int, first: int, **columns: Any) -> list[Path]:
    """Rows `first` and on, every image another one; block by block, for the memory's sake."""
    paths = []
    synthetic = columns.get("source") == "synthetic"
    for start in range(0, num_rows, BLOCK):
        numbers = np.arange(start, min(start + BLOCK, num_rows))
        pixels = (numbers + first).astype("<u8").view(np.uint8).reshape(-1, 8)
        images = np.tile(pixels, (1, SIDE * SIDE // 8)).reshape(-1, SIDE, SIDE, 1)
        rows = pd.DataFrame({"label": numbers % 2, "image_id": [pixel_id(x) for x in images]})
        rows = rows.assign(source="real", weight=1.0, seed=numbers if synthetic else None)
        rows = rows.assign(**columns).reindex(columns=METADATA_COLUMNS)
        pngs = [encode_png(image, synthetic=synthetic) for image in images]
        name = f"{stem}-{start // BLOCK:03d}"
        paths += write_shards(rows, pngs, folder=folder, stem=name, class_names=CLASSES)
    return paths


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
