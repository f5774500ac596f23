"""An update of family "vae": encoder and G raise the evidence lower bound together.

They learn to reproduce a real image from a latent, and to keep the latents of all images near the
standard normal, from which they are drawn later (Kingma and Welling 2014, arXiv:1312.6114). The
deviation of the reproduction is fitted batch by batch, so that no weight between both terms has to
be chosen (Rybkin et al. 2021, arXiv:2006.13202).
"""

from torch import Tensor

from ganaug.gan.step import Step

LEAST_ERROR = 1e-4  # mean squared error on the [-1, 1] scale, a step of grey being 6e-5


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
            evidence bound, in nats an image, up to a constant), gradient_norm/generator,
            gradient_norm/encoder.
        """
        networks, encoder = self.networks, self.networks.D
        with self.compute.autocast():
            mean, log_variance = encoder(real, label)
            reproduced = networks.G(mean + (log_variance / 2).exp() * z, label)
        error = (reproduced.float() - real).square().mean()
        divergence = (mean.square() + log_variance.exp() - log_variance - 1).sum(dim=1).mean() / 2
        variance = error.detach().clamp_min(LEAST_ERROR)
        likelihood = real[0].numel() / 2 * (variance.log() + error / variance)
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
