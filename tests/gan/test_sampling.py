import numpy as np
import pytest
import torch

from ganaug.gan.architecture import build_generator
from ganaug.gan.sampling import LatentLaw, latents, sample


@pytest.fixture
def generator(architecture):
    torch.manual_seed(0)
    return build_generator(architecture).eval()


def test_latent_depends_on_class_and_seed_alone():
    z = latents([0, 1, 0], [5, 5, 6], latent_dim=16)
    assert z.shape == (3, 16)
    assert torch.equal(latents([0], [6], latent_dim=16)[0], z[2])
    assert not torch.equal(z[0], z[1])
    assert not torch.equal(z[0], z[2])


def test_latents_are_standard_normal():
    z = latents([0] * 500, list(range(500)), latent_dim=64)
    assert abs(z.mean().item()) < 0.02
    assert abs(z.std().item() - 1) < 0.02


def test_image_does_not_depend_on_its_company(generator):
    labels, seeds = [0, 1] * 40, list(range(80))
    together = sample(generator, labels, seeds)
    assert together.shape == (80, 16, 16, 1)
    assert together.dtype == np.uint8
    for i in (0, 31, 32, 79):
        alone = sample(generator, labels[i : i + 1], seeds[i : i + 1])
        assert np.array_equal(alone[0], together[i])
    backwards = sample(generator, labels[::-1], seeds[::-1])
    assert np.array_equal(backwards[::-1], together)


def test_image_does_not_depend_on_threads(generator):
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        one = sample(generator, [0] * 8, list(range(8)))
        torch.set_num_threads(2)
        two = sample(generator, [0] * 8, list(range(8)))
    finally:
        torch.set_num_threads(threads)
    assert np.array_equal(one, two)


def test_latent_std_widens_the_latent(generator):
    narrow = sample(generator, [0] * 64, list(range(64)), law=LatentLaw(std=0.01))
    wide = sample(generator, [0] * 64, list(range(64)), law=LatentLaw(std=1.5))
    assert narrow.std(axis=0).mean() < wide.std(axis=0).mean()


def test_truncation_redraws_what_lies_beyond():
    z = latents([0] * 500, list(range(500)), latent_dim=64, law=LatentLaw(std=2.0, truncation=1.0))
    assert z.abs().max() <= 2.0
    assert z.abs().max() > 1.9
    assert abs(z.std().item() / 2 - 0.54) < 0.01  # of a normal cut at one standard deviation
