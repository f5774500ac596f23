"""Generation end to end, latent to PNG in Parquet, against the bare forward rate of the generator.

The rival is the generator alone on blocks of the same size: what no pipeline around it can beat.
"""

import statistics
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pandas as pd
import torch

from benchmarks.random_images import default_architecture
from benchmarks.small_run import PROVENANCE
from benchmarks.timing import seconds_of
from ganaug.curating.curate import ROUND, encode_pngs
from ganaug.gan.architecture import build_generator
from ganaug.gan.networks import Generator
from ganaug.gan.sampling import BLOCK, sample
from ganaug.images import pixel_id
from ganaug.records import METADATA_COLUMNS
from ganaug.shards import write_shards

IMAGES = 1024
ROUNDS = 7
CLASSES = ("a", "b", "c", "d")


def main() -> None:
    """Print images/s of both and their ratio."""
    architecture = default_architecture(channels=1, z_dim=64)
    generator = build_generator(architecture).eval().requires_grad_(False)
    works: list[Callable[[], None]] = [lambda: _forward(generator), lambda: _generate(generator)]
    for work in works:  # warm up
        work()
    seconds = [[seconds_of(work) for work in works] for _ in range(ROUNDS)]  # by turns
    bare, whole = (IMAGES / statistics.median(own) for own in zip(*seconds, strict=True))
    print(f"generation: {whole:.0f} images/s end to end, {bare:.0f} bare, ratio {whole / bare:.2f}")


@torch.inference_mode()
def _forward(generator: Generator) -> None:
    z, label = torch.randn(BLOCK, generator.latent_dim), torch.zeros(BLOCK, dtype=torch.int64)
    for _ in range(IMAGES // BLOCK):
        generator(z, label)


def _generate(generator: Generator) -> None:
    encoding, ids = [], []
    with ThreadPoolExecutor(1) as encoder:  # as `curate` does
        for start in range(0, IMAGES, ROUND):
            images = sample(generator, [0] * ROUND, list(range(start, start + ROUND)))
            ids += [pixel_id(image) for image in images]
            encoding.append(encoder.submit(encode_pngs, images))
    pngs = [png for part in encoding for png in part.result()]
    rows = pd.DataFrame(
        {"label": 0, "image_id": ids, "seed": range(IMAGES), **PROVENANCE},
        columns=METADATA_COLUMNS,
    )
    with tempfile.TemporaryDirectory() as folder:
        write_shards(rows, pngs, folder=Path(folder), stem="x", class_names=CLASSES)
