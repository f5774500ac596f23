"""Generation end to end, latent to PNG in Parquet, against the bare forward rate of the generator.

The rival is the generator alone on blocks of the same size: what no pipeline around it can beat.
"""

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import torch

from ganaug.gan.architecture import build_generator, resolve_architecture
from ganaug.gan.networks import Generator
from ganaug.gan.sampling import BLOCK, sample
from ganaug.images import encode_png, pixel_id
from ganaug.shards import write_shards

IMAGES = 1024
CLASSES = ("a", "b", "c", "d")


def main() -> None:
    """Print images/s of both and their ratio."""
    architecture = resolve_architecture(
        family="r3", size="small", resolution=64, channels=1, num_classes=4, z_dim=64
    )
    generator = build_generator(architecture).eval().requires_grad_(False)
    bare = IMAGES / _seconds(lambda: _forward(generator))
    whole = IMAGES / _seconds(lambda: _generate(generator))
    print(f"generation: {whole:.0f} images/s end to end, {bare:.0f} bare, ratio {whole / bare:.2f}")


def _seconds(work: Callable[[], None]) -> float:
    work()  # warm up
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


@torch.inference_mode()
def _forward(generator: Generator) -> None:
    z, label = torch.randn(BLOCK, generator.latent_dim), torch.zeros(BLOCK, dtype=torch.int64)
    for _ in range(IMAGES // BLOCK):
        generator(z, label)


def _generate(generator: Generator) -> None:
    images = sample(generator, [0] * IMAGES, list(range(IMAGES)))
    rows = pd.DataFrame(
        {
            "label": 0,
            "image_id": [pixel_id(image) for image in images],
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
        pngs = [encode_png(image) for image in images]
        write_shards(rows, pngs, folder=Path(folder), stem="x", class_names=CLASSES)
