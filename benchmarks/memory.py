"""Peak memory of training against the size of its dataset, which lives in memory whole.

A fresh process trains on random images for a few steps, so that nothing else counts towards the
peak. The limit is the dataset and 1.5 GiB for torch, networks and everything else.
"""

import itertools
import multiprocessing
import tempfile
from pathlib import Path

from benchmarks.random_images import SIDE, default_architecture, random_batches
from ganaug.budget import peak_memory_mib
from ganaug.config import load_params
from ganaug.gan.checkpoints import Checkpoints
from ganaug.gan.compute import choose_compute
from ganaug.gan.trainer import Trainer

SIZES = (10_000, 200_000)  # images
CHANNELS = (1, 3)
KIMG = 1.0
OVERHEAD_MIB = 1536


def main() -> None:
    """Print the peak for a small and a large dataset, grey and RGB, beside the limit."""
    context = multiprocessing.get_context("spawn")
    for channels, num_images in itertools.product(CHANNELS, SIZES):
        with context.Pool(1) as pool:
            peak = pool.apply(_peak_mib, (num_images, channels))
        dataset = num_images * SIDE**2 * channels / 2**20
        print(
            f"memory: {num_images} images of {channels} channels are {dataset:.0f} MiB, "
            f"peak of training {peak:.0f} MiB, {peak / (dataset + OVERHEAD_MIB):.2f} of the limit",
            flush=True,
        )


def _peak_mib(num_images: int, channels: int) -> float:
    params = load_params(Path("params.yaml"), {"train.kimg": KIMG}).train
    compute = choose_compute(device="cpu", precision=params.precision)
    with tempfile.TemporaryDirectory() as folder:
        Trainer(
            batches=random_batches(num_images, channels, params, compute.device),
            architecture=default_architecture(channels, params.z_dim),
            params=params,
            seed=0,
            compute=compute,
            evaluate=lambda images, labels: {"kid": 1.0},
            observer=None,
            checkpoints=Checkpoints(Path(folder), "memory"),
        ).run()
    return peak_memory_mib()
