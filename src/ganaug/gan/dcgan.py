"""Family "dcgan": strided convolutions with batch normalisation, a baseline.

Layers, widths and initialisation of Radford et al. 2016, arXiv:1511.06434, section 3, with a class
embedding: appended to the latent in G, one more image channel in D.

Axes: N batch, C channels, H height, W width, Z latent, K classes.
"""

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from ganaug.gan.networks import Architecture, Discriminator, Generator

EMBEDDING_DIM = 64
LEAK = 0.2
BETAS = (0.5, 0.999)  # Adam's, the paper's
INIT_STD = 0.02


def layout(size: str, resolution: int) -> tuple[tuple[int, ...], int]:
    """Channels of each stage, or units of each layer, and the side of the patches."""
    # "small" at 64 pixels is 512, 256, 128, 64: the paper's generator at half its width, the sizes
    # of PyTorch's example.
    base = {"tiny": 8, "small": 64, "medium": 96, "large": 128}[size]
    num_stages = int(math.log2(resolution / 4))
    return tuple(base * min(8, 2**i) for i in reversed(range(num_stages))), 1


class DcganGenerator(Generator):
    """Latent and class to image by transposed convolutions, each doubling the side."""

    def __init__(self, architecture: Architecture) -> None:
        super().__init__(latent_dim=architecture.z_dim)
        widths = architecture.widths
        self.embedding = nn.Embedding(architecture.num_classes, EMBEDDING_DIM)
        first = nn.ConvTranspose2d(self.latent_dim + EMBEDDING_DIM, widths[0], 4, bias=False)
        layers: list[nn.Module] = [first, nn.BatchNorm2d(widths[0]), nn.ReLU()]
        for a, b in pairwise(widths):
            up = nn.ConvTranspose2d(a, b, 4, stride=2, padding=1, bias=False)
            layers += [up, nn.BatchNorm2d(b), nn.ReLU()]
        channels = architecture.channels
        last = nn.ConvTranspose2d(widths[-1], channels, 4, stride=2, padding=1, bias=False)
        self.layers = nn.Sequential(*layers, last, nn.Tanh())
        self.layers.apply(initialise)

    def forward(self, z: Tensor, label: Tensor) -> Tensor:
        """[N, Z] standard normal, [N] int64 -> [N, C, H, W] in [-1, 1]."""
        latent = torch.cat([z, self.embedding(label)], dim=1)
        images: Tensor = self.layers(latent[:, :, None, None])
        return images.float()


class DcganDiscriminator(Discriminator):
    """Image and class to logit by convolutions, each halving the side."""

    normalises_batch = True

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        self.resolution = architecture.resolution
        self.embedding = nn.Embedding(architecture.num_classes, self.resolution**2)
        down = architecture.widths[::-1]
        first = nn.Conv2d(architecture.channels + 1, down[0], 4, stride=2, padding=1, bias=False)
        layers = [first, nn.LeakyReLU(LEAK), *halvings(down)]
        self.layers = nn.Sequential(*layers, nn.Conv2d(down[-1], 1, 4, bias=False), nn.Flatten(0))
        self.layers.apply(initialise)

    def forward(self, encoded: Tensor, label: Tensor, _code: Tensor, /) -> Tensor:
        """[N, C, H, W] in [-1, 1], [N] int64, code unused -> [N] float32 logits."""
        plane = self.embedding(label).view(-1, 1, self.resolution, self.resolution)
        logits: Tensor = self.layers(torch.cat([encoded, plane], dim=1))
        return logits.float()


def halvings(widths: Sequence[int]) -> list[nn.Module]:
    """Convolutions from each width to the next, each halving the side."""
    layers: list[nn.Module] = []
    for a, b in pairwise(widths):
        halve = nn.Conv2d(a, b, 4, stride=2, padding=1, bias=False)
        layers += [halve, nn.BatchNorm2d(b), nn.LeakyReLU(LEAK)]
    return layers


def initialise(layer: nn.Module) -> None:
    """Draw a layer's weights as in the paper."""
    if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
        nn.init.normal_(layer.weight, std=INIT_STD)
    elif isinstance(layer, nn.BatchNorm2d):
        nn.init.normal_(layer.weight, mean=1.0, std=INIT_STD)
