"""Sampling: image = f(snapshot, law of the latents, class, seed), whatever else is in the batch.

The latent of a (class, seed) comes from a stream of its own, drawn on the CPU in float32, and the
network always runs on blocks of one size: a convolution may round differently for another batch
size, and that would move pixels.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri
from torch import Tensor

from ganaug.gan.networks import Generator
from ganaug.images import Pixels
from ganaug.rng import numpy_rng

BLOCK = 32  # images per forward pass, always


@dataclass(frozen=True)
class LatentLaw:
    """The distribution of latents: standard normal as trained, or wider, narrower, cut.

    Args:
        std: standard deviation; above 1 more varied, below 1 more typical.
        truncation: no number lies beyond this many standard deviations, which trades variety for
            quality (Brock et al. 2019, arXiv:1809.11096, section 3.1); None cuts nothing.
    """

    std: float = 1.0
    truncation: float | None = None

    def draw(self, rng: np.random.Generator, size: int) -> NDArray[np.float32]:
        """[size] float32."""
        if self.truncation is None:
            return rng.standard_normal(size, dtype=np.float32) * np.float32(self.std)
        tail = ndtr(-self.truncation)
        cut: NDArray[np.float64] = ndtri(rng.uniform(tail, 1 - tail, size=size))
        return (cut * self.std).astype(np.float32)


AS_TRAINED = LatentLaw()


def latents(
    labels: Sequence[int], seeds: Sequence[int], *, latent_dim: int, law: LatentLaw = AS_TRAINED
) -> Tensor:
    """[N, latent_dim] float32, row i a function of (labels[i], seeds[i]) alone."""
    rows = [
        law.draw(numpy_rng(seed, "latent", label), latent_dim)
        for label, seed in zip(labels, seeds, strict=True)
    ]
    return torch.from_numpy(np.stack(rows))


@torch.inference_mode()
def sample(
    generator: Generator,
    labels: Sequence[int],
    seeds: Sequence[int],
    *,
    law: LatentLaw = AS_TRAINED,
) -> Pixels:
    """Generate images.

    Args:
        generator: (z, label) -> [N, C, H, W] in [-1, 1]; on any device.
        labels, seeds: one pair an image, at least one.
        law: distribution of the latents.
    Returns:
        [N, H, W, C] uint8, in the order asked for.
    """
    device = next(generator.parameters()).device
    blocks = []
    for start in range(0, len(labels), BLOCK):
        part = slice(start, start + BLOCK)
        z = latents(labels[part], seeds[part], latent_dim=generator.latent_dim, law=law)
        label = torch.tensor(labels[part], dtype=torch.int64)
        missing = BLOCK - len(label)
        z = torch.nn.functional.pad(z, (0, 0, 0, missing)).to(device)
        label = torch.nn.functional.pad(label, (0, missing)).to(device)
        images = generator(z, label)[: BLOCK - missing].float()
        blocks.append(to_pixels(images))
    return np.concatenate(blocks)


def to_pixels(images: Tensor) -> Pixels:
    """[N, C, H, W] in [-1, 1], cut to it -> [N, H, W, C] uint8."""
    pixels = images.add(1).mul(127.5).round().clamp(0, 255).byte()
    found: Pixels = pixels.permute(0, 2, 3, 1).cpu().numpy()
    return found
