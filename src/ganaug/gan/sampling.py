"""Sampling: image = f(snapshot, class, seed), whatever else is in the batch.

The latent of a (class, seed) comes from a stream of its own, drawn on the CPU in float32, and the
network always runs on blocks of one size: a convolution may round differently for another batch
size, and that would move pixels.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ganaug.gan.architecture import to_uint8
from ganaug.rng import numpy_rng

BLOCK = 32  # images per forward pass, always


def latents(labels: Sequence[int], seeds: Sequence[int], *, z_dim: int) -> Tensor:
    """[N, z_dim] float32 standard normal, row i a function of (labels[i], seeds[i]) alone."""
    rows = [
        numpy_rng(seed, "latent", label).standard_normal(z_dim, dtype=np.float32)
        for label, seed in zip(labels, seeds, strict=True)
    ]
    return torch.from_numpy(np.stack(rows)) if rows else torch.empty(0, z_dim)


@torch.inference_mode()
def sample_blocks(
    generator: nn.Module,
    labels: Sequence[int],
    seeds: Sequence[int],
    *,
    z_dim: int,
    latent_std: float = 1.0,
) -> Iterator[NDArray[np.uint8]]:
    """Generate images block by block.

    Args:
        generator: (z, label) -> [N, C, H, W] in [-1, 1]; on any device.
        labels, seeds: one pair an image.
        z_dim: length of the latent.
        latent_std: scale of the latent; 1 as trained.
    Yields:
        [<= BLOCK, H, W, C] uint8, in the order asked for.
    """
    device = next(generator.parameters()).device
    for start in range(0, len(labels), BLOCK):
        part = slice(start, start + BLOCK)
        z = latents(labels[part], seeds[part], z_dim=z_dim) * latent_std
        label = torch.tensor(labels[part], dtype=torch.int64)
        missing = BLOCK - len(label)
        z = torch.nn.functional.pad(z, (0, 0, 0, missing)).to(device)
        label = torch.nn.functional.pad(label, (0, missing)).to(device)
        images = to_uint8(generator(z, label))[: BLOCK - missing]
        yield images.permute(0, 2, 3, 1).cpu().numpy()


def sample(
    generator: nn.Module,
    labels: Sequence[int],
    seeds: Sequence[int],
    *,
    z_dim: int,
    latent_std: float = 1.0,
) -> NDArray[np.uint8]:
    """All images at once: [N, H, W, C] uint8, N >= 1; see `sample_blocks`."""
    blocks = sample_blocks(generator, labels, seeds, z_dim=z_dim, latent_std=latent_std)
    return np.concatenate(list(blocks))
