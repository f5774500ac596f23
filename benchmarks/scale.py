"""Time and peak memory of every stage on 10,000, 100,000 and a million small images.

The images are made here: four classes of stripes, noisy, in groups of ten. Training is short, since
its length is set by `train.kimg` and not by the data. What has been run lies in
results/scale; delete a file to run it again. The table goes to docs/benchmarks.md.
`python -m benchmarks.scale 10000` runs one size.
"""

import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from benchmarks.pages import as_markdown, put_table
from benchmarks.publishing import in_own_process
from benchmarks.studies import ROOT
from ganaug.errors import GanaugError
from ganaug.fileio import read_json, write_json
from ganaug.folds import code_first, run_folds
from ganaug.images import encode_png
from ganaug.publishing.verify import verify_dataset

RESULTS = ROOT / "results" / "scale"
SCRATCH = ROOT / ".ganaug" / "scale"
SIZES = (10_000, 100_000, 1_000_000)
SIDE, CLASSES, GROUP = 16, 4, 10
BLOCK = 20_000  # images a file
LIMIT_MIB = 2048
CHANGES: dict[str, Any] = {
    "prepare.source": "parquet",
    "prepare.resolution": SIDE,
    "prepare.channels": 1,
    "prepare.keep_splits": None,
    "prepare.table.group": "group",
    "train.init_from": None,
    "train.size": "tiny",
    "train.kimg": 40,  # with fewer the filter refuses nearly all images
    "train.num_evaluations": 1,
    "generate.strategy": "ratio",
    "generate.amount": 0.25,
    "evaluate.num_repetitions": 2,
    "evaluate.num_steps": 60,
}
STAGES = ("prepare", "train", "generate", "evaluate", "merge", "report", "verify")


def main(sizes: Iterable[int] = SIZES) -> None:
    """Run the sizes that have no results yet, and write the table."""
    for size in sizes:
        out = RESULTS / f"{size}.json"
        if not out.is_file():
            write_json(_run(size), out)
        print(f"{size}: {out}", flush=True)
    found = {int(file.stem): read_json(file) for file in RESULTS.glob("*.json")}
    rows = [[f"{size:,}", *map(_cell, own.values())] for size, own in sorted(found.items())]
    put_table(as_markdown([["images", *STAGES], *rows]), "scale", ROOT / "docs" / "benchmarks.md")


def _cell(costs: Mapping[str, float]) -> str:
    over = " (over 2 GiB)" if costs["mib"] > LIMIT_MIB else ""
    return f"{costs['seconds']:.0f} s, {costs['mib']:,.0f} MiB{over}"


def _run(size: int) -> dict[str, dict[str, float]]:
    """{stage: {seconds, mib, core_seconds, worker_core_seconds}}, of `verify` the first two."""
    scratch = SCRATCH / str(size)
    images = scratch / "images"
    shutil.rmtree(scratch, ignore_errors=True)
    images.mkdir(parents=True)
    for start in range(0, size, BLOCK):
        _write_images(images / f"{start:08d}.parquet", np.arange(start, min(start + BLOCK, size)))
    run_folds(ROOT, 1, scratch=scratch, changes=CHANGES | {"prepare.files.path": str(images)})
    folder = scratch / "fold-0"
    (folder / "results" / "studies").mkdir()  # what the report shows beside the run
    environment = code_first(folder / "src")
    subprocess.run([sys.executable, "-m", "dvc", "repro"], cwd=folder, env=environment, check=True)
    found = {}
    for stage in STAGES[:-1]:
        budget = folder / "results" / stage / "budget.json"
        if not budget.is_file():
            raise GanaugError(f"DVC took {stage} from its cache: remove .dvc/cache/runs, run again")
        costs = read_json(budget)
        found[stage] = {
            "seconds": costs["seconds"],
            "mib": costs["peak_memory_mib"],
            "core_seconds": costs["core_seconds"],
            "worker_core_seconds": costs["worker_core_seconds"],
        }
    seconds, mib = in_own_process(verify_dataset, folder / "data" / "augmented")
    shutil.rmtree(scratch)
    return found | {"verify": {"seconds": seconds, "mib": mib}}


def _write_images(path: Path, numbers: NDArray[np.int64]) -> None:
    """Stripes of a direction for each class, with phase, contrast and noise of each image's own."""
    labels = numbers // GROUP % CLASSES
    y, x = np.mgrid[:SIDE, :SIDE]
    ways = np.stack([y, x, y + x, y - x])[labels]  # [N, H, W]
    rng = np.random.default_rng(int(numbers[0]))
    phase, contrast = rng.uniform(0, 6.3, len(labels)), rng.uniform(30, 70, len(labels))
    stripes = contrast[:, None, None] * np.sin(ways + phase[:, None, None])
    noisy = 128 + stripes + rng.normal(0, 20, stripes.shape)
    pixels = noisy.clip(0, 255).astype(np.uint8)[..., None]
    columns = {
        "image": [{"bytes": encode_png(image), "path": None} for image in pixels],
        "label": [f"way-{label}" for label in labels],
        "group": [f"g{number}" for number in numbers // GROUP],
    }
    pq.write_table(pa.table(columns), path)


if __name__ == "__main__":
    main(map(int, sys.argv[1:]) if sys.argv[1:] else SIZES)
