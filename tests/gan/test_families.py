import pytest
import torch

from ganaug.errors import ParamsError
from ganaug.gan.architecture import (
    FAMILIES,
    RESOLUTIONS,
    build_discriminator,
    build_generator,
    resolve_architecture,
)


def resolve(family, **changes):
    options = {"size": "tiny", "resolution": 16, "channels": 1, "num_classes": 3, "z_dim": 8}
    return resolve_architecture(family=family, **(options | changes))


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("resolution", RESOLUTIONS)
@pytest.mark.parametrize("channels", [1, 3])
def test_networks_fit_every_resolution(family, resolution, channels):
    architecture = resolve(family, resolution=resolution, channels=channels)
    label = torch.tensor([0, 2])
    G = build_generator(architecture)
    images = G(torch.randn(2, G.latent_dim), label)
    assert images.shape == (2, channels, resolution, resolution)
    D = build_discriminator(architecture)
    logits = D(D.encode(images), label, torch.zeros(2, architecture.code_dim))
    assert logits.shape == (2,)
    assert logits.dtype == torch.float32


@pytest.mark.parametrize("family", FAMILIES)
def test_sizes_ascend(family):
    counts = [
        sum(p.numel() for p in build_generator(resolve(family, size=size)).parameters())
        for size in ("tiny", "small", "medium", "large")
    ]
    assert counts == sorted(set(counts))


@pytest.mark.parametrize("family", FAMILIES)
def test_class_reaches_both_networks(family):
    torch.manual_seed(0)
    architecture = resolve(family)
    G, D = build_generator(architecture).eval(), build_discriminator(architecture).eval()
    zeros, ones = torch.zeros(8, dtype=torch.int64), torch.ones(8, dtype=torch.int64)
    z = torch.randn(8, G.latent_dim)
    images = G(z, zeros)
    assert not torch.allclose(images, G(z, ones))
    encoded = D.encode(images)
    code = torch.zeros(8, architecture.code_dim)
    assert not torch.allclose(D(encoded, zeros, code), D(encoded, ones, code))


def test_dcgan_small_is_the_example_of_the_paper_at_half_width():
    G = build_generator(resolve("dcgan", size="small", resolution=64))
    shapes = [tuple(w.shape[:2]) for w in G.parameters() if w.dim() == 4]
    assert shapes == [(8 + 64, 512), (512, 256), (256, 128), (128, 64), (64, 1)]


def test_unknown_resolution_is_named():
    with pytest.raises(ParamsError, match=r"48 is not one of 16, 32, 64, 128, 256"):
        resolve("r3", resolution=48)
