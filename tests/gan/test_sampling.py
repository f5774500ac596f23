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


def test_latents_are_normal_and_truncation_redraws_what_lies_beyond():
    z = latents([0] * 500, list(range(500)), latent_dim=64)
    assert abs(z.mean().item()) < 0.02
    assert abs(z.std().item() - 1) < 0.02
    z = latents([0] * 500, list(range(500)), latent_dim=64, law=LatentLaw(std=2.0, truncation=1.0))
    assert 1.9 < z.abs().max() <= 2.0
    assert abs(z.std().item() / 2 - 0.54) < 0.01  # of a normal cut at one standard deviation


def test_image_depends_neither_on_its_company_nor_on_threads(generator):
    labels, seeds = [0, 1] * 40, list(range(80))
    together = sample(generator, labels, seeds)
    assert (together.shape, together.dtype) == ((80, 16, 16, 1), np.uint8)
    for i in (0, 31, 32, 79):
        assert np.array_equal(
            sample(generator, labels[i : i + 1], seeds[i : i + 1])[0], together[i]
        )
    assert np.array_equal(sample(generator, labels[::-1], seeds[::-1])[::-1], together)
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        assert np.array_equal(sample(generator, labels, seeds), together)
    finally:
        torch.set_num_threads(threads)


def test_latent_std_widens_the_latent(generator):
    narrow, wide = (
        sample(generator, [0] * 64, range(64), law=LatentLaw(std=s)) for s in (0.01, 1.5)
    )
    assert narrow.std(axis=0).mean() < wide.std(axis=0).mean()
