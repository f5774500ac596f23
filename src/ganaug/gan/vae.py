"""Family "vae": a class-conditional variational autoencoder, the rival without an adversary.

In D's place stands an encoder. It gives each real image a distribution of latents; G decodes a draw
from it (Kingma and Welling 2014, arXiv:1312.6114). What both learn is in `elbo.py`. Layers are
those of "dcgan".

Axes: N batch, C channels, H height, W width, Z latent, K classes.
"""

import torch
from torch import Tensor, nn

from ganaug.gan.dcgan import halvings, initialise
from ganaug.gan.networks import Architecture, Companion

BETAS = (0.9, 0.999)  # Adam's; nothing moves against these networks


class VaeEncoder(Companion):
    """Image and class to the mean and the log variance of a latent, by convolutions."""

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        self.resolution = architecture.resolution
        self.embedding = nn.Embedding(architecture.num_classes, self.resolution**2)
        down = (architecture.channels + 1, *architecture.widths[::-1])
        layers = halvings(down)
        last = nn.Conv2d(down[-1], 2 * architecture.z_dim, 4)
        self.layers = nn.Sequential(*layers, last, nn.Flatten())
        self.layers.apply(initialise)

    def forward(self, images: Tensor, label: Tensor) -> tuple[Tensor, Tensor]:
        """[N, C, H, W] in [-1, 1], [N] int64 -> mean and log variance, [N, Z] float32 each."""
        plane = self.embedding(label).view(-1, 1, self.resolution, self.resolution)
        mean, log_variance = self.layers(torch.cat([images, plane], dim=1)).float().chunk(2, dim=1)
        return mean, log_variance
