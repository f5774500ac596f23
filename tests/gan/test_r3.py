import pytest
import torch

from ganaug.gan.architecture import (
    STAGES,
    build_discriminator,
    build_generator,
    resolve_architecture,
)
from ganaug.gan.r3 import group_spread


@pytest.mark.parametrize("resolution", STAGES)
@pytest.mark.parametrize("channels", [1, 3])
def test_networks_fit_every_resolution(resolution, channels):
    architecture = resolve_architecture(
        family="r3", size="tiny", resolution=resolution, channels=channels, num_classes=3, z_dim=8
    )
    label = torch.tensor([0, 2])
    images = build_generator(architecture)(torch.randn(2, 8), label)
    assert images.shape == (2, channels, resolution, resolution)
    D = build_discriminator(architecture)
    logits = D(D.encode(images), label)
    assert logits.shape == (2,)
    assert logits.dtype == torch.float32


def test_class_and_latent_both_change_the_image(architecture):
    G = build_generator(architecture)
    z = torch.randn(2, 8)
    base = G(z, torch.tensor([0, 0]))
    assert not torch.equal(base[0], base[1])
    assert not torch.equal(base[0], G(z, torch.tensor([1, 0]))[0])


def test_class_changes_the_logit(architecture):
    D = build_discriminator(architecture)
    image = torch.randn(8, 1, 16, 16).clamp(-1, 1)
    zeros, ones = torch.zeros(8, dtype=torch.int64), torch.ones(8, dtype=torch.int64)
    assert not torch.allclose(D(D.encode(image), zeros), D(D.encode(image), ones))


def test_spread_shows_a_collapsed_group():
    torch.manual_seed(0)
    varied, collapsed = torch.randn(8, 4, 6, 6), torch.randn(1, 4, 6, 6).expand(8, -1, -1, -1)
    spread = group_spread(torch.cat([varied, collapsed]))
    assert spread.shape == (16, 4)
    assert (spread[:8] > 0.5).all()
    assert (spread[8:] < 0.001).all()
    deviation = varied.std(dim=0, unbiased=False).mean(dim=(1, 2))
    assert torch.allclose(spread[0], deviation, atol=1e-5)
