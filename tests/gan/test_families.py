import torch

from ganaug.errors import ParamsError
from ganaug.gan.architecture import (
    FAMILIES,
    RESOLUTIONS,
    build_companion,
    build_generator,
    resolve_architecture,
)
from tests.refusal import refuses

GANS = sorted(set(FAMILIES) - {"vae"})


def resolve(family, **changes):
    options = {"size": "tiny", "resolution": 16, "channels": 1, "num_classes": 3, "z_dim": 8}
    return resolve_architecture(family=family, **(options | changes))


def test_networks_of_each_family_fit_every_resolution():
    label = torch.tensor([0, 2])
    for case in ((f, r, c) for f in GANS for r in RESOLUTIONS for c in (1, 3)):
        family, resolution, channels = case
        architecture = resolve(family, resolution=resolution, channels=channels)
        G, D = build_generator(architecture), build_companion(architecture)
        images = G(torch.randn(2, G.latent_dim), label)
        assert images.shape == (2, channels, resolution, resolution), case
        logits = D(D.encode(images), label, torch.zeros(2, architecture.code_dim))
        assert (logits.shape, logits.dtype) == ((2,), torch.float32), case


def test_sizes_ascend():
    for family in FAMILIES:
        generators = (
            build_generator(resolve(family, size=s)) for s in ("tiny", "small", "medium", "large")
        )
        counts = [sum(p.numel() for p in G.parameters()) for G in generators]
        assert counts == sorted(set(counts)), family


def test_class_and_latent_reach_g_and_class_and_code_reach_d():
    zeros, ones = torch.zeros(8, dtype=torch.int64), torch.ones(8, dtype=torch.int64)
    for family in GANS:
        torch.manual_seed(0)
        architecture = resolve(family)
        G, D = build_generator(architecture).eval(), build_companion(architecture).eval()
        z = torch.randn(8, G.latent_dim)
        images, code = G(z, zeros), torch.zeros(8, architecture.code_dim)
        assert not torch.allclose(images, G(z, ones)), family
        assert not torch.allclose(images[0], images[1]), family
        encoded = D.encode(images)
        logits = D(encoded, zeros, code)
        assert not torch.allclose(logits, D(encoded, ones, code)), family
        assert family != "r3" or not torch.allclose(logits, D(encoded, zeros, code + 1))


def test_dcgan_small_is_the_example_of_the_paper_at_half_width():
    G = build_generator(resolve("dcgan", size="small", resolution=64))
    shapes = [tuple(w.shape[:2]) for w in G.parameters() if w.dim() == 4]
    assert shapes == [(8 + 64, 512), (512, 256), (256, 128), (128, 64), (64, 1)]


def test_unknown_resolution_is_named():
    refuses(ParamsError, "48 is not one of 16, 32, 64", resolve, "r3", resolution=48)
