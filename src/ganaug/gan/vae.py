"""Family "vae": a class-conditional variational autoencoder, the rival without an adversary.

In D's place stands an encoder. It gives each real image a distribution of latents; G decodes a draw
from it. Both learn together to reproduce the image and to keep these distributions near the
standard normal, from which latents are drawn later (Kingma and Welling 2014, arXiv:1312.6114). The
deviation of the reproduction is fitted batch by batch, so that no weight between both terms has to
be chosen (Rybkin et al. 2021, arXiv:2006.13202). Layers are those of "dcgan".

Axes: N batch, C channels, H height, W width, Z latent, K classes.
"""

from itertools import pairwise

import torch
from torch import Tensor, nn

from ganaug.gan.dcgan import LEAK, initialise
from ganaug.gan.networks import Architecture, Companion
from ganaug.gan.step import Step

BETAS = (0.9, 0.999)  # Adam's; nothing moves against these networks
LEAST_ERROR = 1e-4  # mean squared error on the [-1, 1] scale, a step of grey being 6e-5


class VaeEncoder(Companion):
    """Image and class to the mean and the log variance of a latent, by convolutions."""

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        self.resolution = architecture.resolution
        self.embedding = nn.Embedding(architecture.num_classes, self.resolution**2)
        down = (architecture.channels + 1, *architecture.widths[::-1])
        layers: list[nn.Module] = []
        for a, b in pairwise(down):
            halve = nn.Conv2d(a, b, 4, stride=2, padding=1, bias=False)
            layers += [halve, nn.BatchNorm2d(b), nn.LeakyReLU(LEAK)]
        last = nn.Conv2d(down[-1], 2 * architecture.z_dim, 4)
        self.layers = nn.Sequential(*layers, last, nn.Flatten())
        self.layers.apply(initialise)

    def forward(self, images: Tensor, label: Tensor) -> tuple[Tensor, Tensor]:
        """[N, C, H, W] in [-1, 1], [N] int64 -> mean and log variance, [N, Z] float32 each."""
        plane = self.embedding(label).view(-1, 1, self.resolution, self.resolution)
        mean, log_variance = self.layers(torch.cat([images, plane], dim=1)).float().chunk(2, dim=1)
        return mean, log_variance


class VaeStep(Step):
    """An update of the encoder and of G, together; what is special to a game of two is not used."""

    def take(self, real: Tensor, label: Tensor, z: Tensor) -> dict[str, Tensor]:
        """Update the networks.

        Args:
            real: [B, C, H, W] in [-1, 1].
            label: [B].
            z: [B, Z] standard normal.
        Returns:
            Scalars on the device: loss/reconstruction (mean squared error), loss/divergence (KL
            divergence from the standard normal, in nats an image), loss/total (the negative
            evidence bound, in nats an image), gradient_norm/generator, gradient_norm/encoder.
        """
        networks, encoder = self.networks, self.networks.D
        with self.compute.autocast():
            mean, log_variance = encoder(real, label)
            made = networks.G(mean + (log_variance / 2).exp() * z, label)
        error = (made.float() - real).square().mean()
        divergence = (mean.square() + log_variance.exp() - log_variance - 1).sum(dim=1).mean() / 2
        likelihood = real[0].numel() / 2 * error.clamp_min(LEAST_ERROR).log()
        loss = likelihood + divergence
        norms = self.descend(
            loss, (networks.G, networks.G_optimiser), (encoder, networks.D_optimiser)
        )
        statistics = {
            "loss/reconstruction": error,
            "loss/divergence": divergence,
            "loss/total": loss,
            "gradient_norm/generator": norms[0],
            "gradient_norm/encoder": norms[1],
        }
        return {name: value.detach() for name, value in statistics.items()}
