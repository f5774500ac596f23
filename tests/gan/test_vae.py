"""The autoencoder that stands beside the GANs: its networks, and what a step learns."""

import torch

from ganaug.gan.architecture import RESOLUTIONS, build_companion, build_generator
from tests.gan.conftest import Recorder
from tests.gan.test_families import resolve


def test_an_image_has_a_latent_at_every_resolution():
    label = torch.tensor([0, 2])
    for resolution in RESOLUTIONS:
        architecture = resolve("vae", resolution=resolution)
        encoder, G = build_companion(architecture), build_generator(architecture)
        mean, log_variance = encoder(torch.zeros(2, 1, resolution, resolution), label)
        assert mean.shape == log_variance.shape == (2, G.latent_dim)
        assert G(mean, label).shape == (2, 1, resolution, resolution)


def test_both_terms_fall_and_classes_come_out_different(make_trainer):
    """Class 0 of the toy images is dark, class 1 bright."""
    observer = Recorder()
    trainer = make_trainer(kimg=3.2, family="vae", lr=2e-3, ema_kimg=0.2, observer=observer)
    trainer.run()
    bounds = [row["loss/total"] for _, row in observer.rows if "loss/total" in row]
    assert bounds[-1] < bounds[0] - 20  # nats an image
    means = observer.grids[-1].mean(axis=(1, 2, 3))
    dark, bright = means[: len(means) // 2], means[len(means) // 2 :]
    assert dark.max() + 30 < bright.min()


def test_a_larger_latent_costs_divergence(make_trainer):
    """The encoder moves its latents away from the prior only for what they tell."""
    observer = Recorder()
    make_trainer(kimg=0.64, family="vae", observer=observer).run()
    told = [row["loss/divergence"] for _, row in observer.rows if "loss/divergence" in row]
    assert all(value >= 0 for value in told)
    assert told[-1] > 0.1
