"""Generation end to end, latent to PNG in Parquet, against the bare forward rate of the generator.

The rival is the generator alone on blocks of the same size: what no pipeline around it can beat.
"""

import statistics
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pandas as pd
import torch

from ganaug.curating.curate import ROUND, encode_pngs
from ganaug.gan.architecture import build_generator, resolve_architecture
from ganaug.gan.networks import Generator
from ganaug.gan.sampling import BLOCK, sample
from ganaug.images import pixel_id
from ganaug.shards import write_shards

IMAGES = 1024
ROUNDS = 7
CLASSES = ("a", "b", "c", "d")


def main() -> None:
    """Print images/s of both and their ratio."""
    architecture = resolve_architecture(
        family="r3", size="small", resolution=64, channels=1, num_classes=4, z_dim=64
    )
    generator = build_generator(architecture).eval().requires_grad_(False)
    works: list[Callable[[], None]] = [lambda: _forward(generator), lambda: _generate(generator)]
    for work in works:  # warm up
        work()
    seconds = [[_seconds(work) for work in works] for _ in range(ROUNDS)]  # by turns
    bare, whole = (IMAGES / statistics.median(own) for own in zip(*seconds, strict=True))
    print(f"generation: {whole:.0f} images/s end to end, {bare:.0f} bare, ratio {whole / bare:.2f}")


def _seconds(work: Callable[[], None]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


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
        {
            "label": 0,
            "image_id": ids,
            "source": "synthetic",
            "split": "train",
            "group_id": None,
            "generator_id": "0" * 64,
            "seed": range(IMAGES),
            "parent_id": None,
            "label_confidence": 1.0,
            "realism": 1.0,
            "nearest_id": "0" * 32,
            "nearest_distance": 1.0,
            "weight": 1.0,
        }
    )
    with tempfile.TemporaryDirectory() as folder:
        write_shards(rows, pngs, folder=Path(folder), stem="x", class_names=CLASSES)
