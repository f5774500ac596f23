"""The stage `prepare` against OpenCV alone, and its memory and time as the images grow in number.

The rival decodes and resizes the same files on all cores, and does nothing else: no checks, no
hashes, no PNG, no near-duplicates, no shards.
"""

import resource
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path

import cv2
import joblib
import numpy as np

from benchmarks.timing import seconds_of
from ganaug.config import load_params
from ganaug.parallel import map_unordered
from ganaug.preparing.prepare import prepare
from ganaug.sources.registry import load_source

PHOTOS = 8000
NUMBERS = (10_000, 100_000)  # of small images
SMALL = 32  # px


def main() -> None:
    """Print the ratio of rates, for solar cells and for photos, and time and memory by number."""
    with tempfile.TemporaryDirectory() as folder:
        compare_rates(Path(folder), num_photos=PHOTOS)
        measure_growth(Path(folder), NUMBERS)


def compare_rates(folder: Path, *, num_photos: int) -> None:
    """Images/s of `prepare` and of OpenCV, on PNG of 300 px and on JPEG of 640 x 480 px."""
    photos = folder / "photos"
    write_images(photos, num_photos, size=(480, 640), suffix=".jpg")
    load = load_params(Path("params.yaml")).prepare
    cells = [i.content for i in load_source(load).images if isinstance(i.content, Path)]
    for name, paths, path in (
        ("solar cells", cells, None),
        ("photos", sorted(photos.rglob("*.jpg")), photos),
    ):
        rival = len(paths) / seconds_of(partial(_opencv, paths))
        ours = len(paths) / seconds_of(partial(run, path, folder / "out"))
        print(
            f"prepare: {ours:.0f} images/s of {name}, OpenCV alone {rival:.0f}, "
            f"ratio {ours / rival:.2f}"
        )


def measure_growth(folder: Path, numbers: tuple[int, ...]) -> None:
    """Seconds and peak memory for each number of small images, each in a process of its own."""
    for number in numbers:
        images = folder / f"small-{number}"
        write_images(images, number, size=(SMALL, SMALL), suffix=".png")
        command = [sys.executable, "-m", "benchmarks.prepare", str(images), str(folder / "out")]
        shown = subprocess.run(command, check=True, capture_output=True, text=True)
        seconds, peak = map(float, shown.stdout.split())
        print(
            f"prepare: {number} images of {SMALL} px in {seconds:.1f} s, "
            f"{1000 * seconds / number:.2f} ms each; peak memory {peak:.0f} MiB"
        )


def write_images(folder: Path, number: int, *, size: tuple[int, int], suffix: str) -> None:
    """Smooth pictures with some noise, half in each of two class folders."""
    rng = np.random.default_rng(0)
    for name in ("a", "b"):
        (folder / name).mkdir(parents=True)
    for i in range(number):
        coarse = rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)
        image = cv2.resize(coarse, size[::-1], interpolation=cv2.INTER_CUBIC)
        noise = rng.integers(0, 9, image.shape, dtype=np.uint8)
        cv2.imwrite(
            str(folder / "ab"[i % 2] / f"{i:06d}{suffix}"),
            (image.astype(np.int16) + noise).clip(0, 255).astype(np.uint8),
        )


def run(path: Path | None, out: Path) -> None:
    """`prepare` of a folder, or of the shipped source, as its stage runs it."""
    changes = {"prepare.source": "folder", "prepare.files.path": str(path)} if path else {}
    params = load_params(Path("params.yaml"), changes)
    prepare(params.prepare, seed=0, out=out, map_tasks=map_unordered)


def _opencv(paths: list[Path]) -> None:
    cv2.setNumThreads(1)
    joblib.Parallel(n_jobs=-1, prefer="threads")(joblib.delayed(_decode)(str(p)) for p in paths)


def _decode(path: str) -> None:
    image = cv2.imread(path, cv2.IMREAD_GRAYSCALE)
    assert image is not None  # this program wrote it
    cv2.resize(image, (64, 64), interpolation=cv2.INTER_AREA)


if __name__ == "__main__":  # one measurement, in the process that `measure_growth` starts
    seconds = seconds_of(partial(run, *map(Path, sys.argv[1:])))
    print(seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
