"""The autoencoder that stands beside the GANs: its networks, and what a step learns."""

from dataclasses import replace

import pytest
import torch

from ganaug.gan.architecture import RESOLUTIONS, build_companion, build_generator
from ganaug.gan.compute import Compute
from ganaug.gan.elbo import VaeStep
from ganaug.gan.step import Networks
from tests.gan.conftest import Recorder
from tests.gan.test_families import resolve

BUILD = (build_companion, build_generator)


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


def test_the_divergence_is_that_of_the_encoders_normals_from_the_standard_one(architecture):
    compute = Compute(device=torch.device("cpu"), bf16=False)
    encoder, G = (build(replace(architecture, family="vae", patch=1)) for build in BUILD)
    sgd = [torch.optim.SGD(network.parameters(), lr=0.0) for network in (G, encoder)]
    step = VaeStep(Networks(G, encoder, *sgd, None), None, compute, None, 0, True, 0.0)
    real, label = torch.rand(8, 1, 16, 16), torch.zeros(8, dtype=torch.int64)
    mean, log_variance = encoder(real, label)
    own = torch.distributions.Normal(mean, (log_variance / 2).exp())
    standard = torch.distributions.Normal(0.0, 1.0)
    wanted = torch.distributions.kl_divergence(own, standard).sum(dim=1).mean()
    found = step.take(real, label, torch.randn(8, G.latent_dim))
    assert found["loss/divergence"].item() == pytest.approx(wanted.item(), rel=1e-3)
