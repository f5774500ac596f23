"""Family "mlp": the textbook GAN, fully connected hidden layers in both networks.

After Goodfellow et al. 2014, arXiv:1406.2661, with the class as one-hot inputs (Mirza and Osindero
2014, arXiv:1411.1784). D's probability that an image is real is the sigmoid of its logit.

Axes: N batch, C channels, H height, W width, Z latent, K classes.
"""

import math
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ganaug.gan.networks import Architecture, Discriminator, Generator

LEAK = 0.2
BETAS = (0.5, 0.999)  # Adam's


def layout(size: str, _resolution: int) -> tuple[tuple[int, ...], int]:
    """Channels of each stage, or units of each layer, and the side of the patches."""
    base = {"tiny": 32, "small": 256, "medium": 512, "large": 1024}[size]
    return (base, 2 * base, 4 * base), 1


class MlpGenerator(Generator):
    """Latent and class to image."""

    def __init__(self, architecture: Architecture) -> None:
        super().__init__(latent_dim=architecture.z_dim)
        self.num_classes, widths = architecture.num_classes, architecture.widths
        self.shape = (architecture.channels, architecture.resolution, architecture.resolution)
        hidden = _hidden_layers(self.latent_dim + self.num_classes, widths)
        pixels = nn.Linear(widths[-1], math.prod(self.shape))
        self.layers = nn.Sequential(*hidden, pixels, nn.Tanh())

    def forward(self, z: Tensor, label: Tensor) -> Tensor:
        """[N, Z] standard normal, [N] int64 -> [N, C, H, W] in [-1, 1]."""
        classes = F.one_hot(label, self.num_classes).float()
        images: Tensor = self.layers(torch.cat([z, classes], dim=1))
        return images.float().view(-1, *self.shape)


class MlpDiscriminator(Discriminator):
    """Image and class to logit; the generator's `widths` in reverse."""

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        self.num_classes, widths = architecture.num_classes, architecture.widths
        num_pixels = architecture.channels * architecture.resolution**2
        hidden = _hidden_layers(num_pixels + self.num_classes, widths[::-1])
        self.layers = nn.Sequential(*hidden, nn.Linear(widths[0], 1), nn.Flatten(0))

    def forward(self, encoded: Tensor, label: Tensor, _code: Tensor, /) -> Tensor:
        """[N, C, H, W] in [-1, 1], [N] int64, code left aside -> [N] float32 logits."""
        classes = F.one_hot(label, self.num_classes).float()
        logits: Tensor = self.layers(torch.cat([encoded.flatten(1), classes], dim=1))
        return logits.float()


def _hidden_layers(num_inputs: int, widths: tuple[int, ...]) -> list[nn.Module]:
    layers: list[nn.Module] = []
    for a, b in pairwise((num_inputs, *widths)):
        layers += [nn.Linear(a, b), nn.LeakyReLU(LEAK)]
    return layers
