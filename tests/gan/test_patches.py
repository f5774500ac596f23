import math

import pytest
import torch

from ganaug.gan.patches import BOUND, MIN_STD, WhitenedPatches


@pytest.fixture
def images():
    """Smooth images: neighbouring pixels are alike, as in photographs."""
    noise = torch.randn(200, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    smooth = torch.nn.functional.avg_pool2d(noise, 5, stride=1, padding=2) * 2
    return (smooth + 0.02 * noise).clamp(-1, 1)


def fitted(images, patch=4):
    patches = WhitenedPatches(channels=images.shape[1], patch=patch)
    patches.fit(images)
    return patches


def test_decode_inverts_encode_within_the_bound(images):
    for patch in (1, 2, 4, 8):
        patches = fitted(images, patch)
        encoded = patches.encode(images)
        assert encoded.shape == (200, 3 * patch**2, 16 // patch, 16 // patch)
        assert (encoded.abs() < BOUND * 0.99).float().mean() > 0.97, patch
        steepness = math.pi / 2 / BOUND
        unbounded = torch.tan((encoded / BOUND).clamp(-0.99, 0.99) * math.pi / 2) / steepness
        assert (patches.decode(unbounded) - images).abs().median() < 1e-5, patch


def test_real_images_are_white_in_every_frequency_and_the_generator_is_bounded(images):
    patches = fitted(images)
    encoded = patches.encode(images)
    assert encoded.mean(dim=(0, 2, 3)).abs().max() < 0.05  # compression is not quite symmetric
    assert encoded.std(dim=(0, 2, 3)).sub(1).abs().max() < 1e-3
    huge = patches.decode(torch.full((1, 48, 4, 4), 1e6))
    assert torch.allclose(patches.encode(huge), torch.full((1, 48, 4, 4), BOUND), atol=1e-3)


def test_faint_detail_counts_beside_strong_edges(images):
    images = images.clone()
    images[:100] *= 0.05  # a class of faint images beside one of strong ones
    faint, strong = fitted(images).encode(images).unflatten(1, (3, 16)).abs().split(100)
    detail = faint[:, :, 1:].mean() / strong[:, :, 1:].mean()
    level = faint[:, :, 0].mean() / strong[:, :, 0].mean()
    assert detail > 2 * level
    assert level == pytest.approx(0.05, rel=0.2)


def test_basis_is_orthonormal():
    basis = WhitenedPatches(channels=2, patch=4).basis.flatten(1)
    assert torch.allclose(basis @ basis.T, torch.eye(32), atol=1e-6)


def test_constant_images_are_not_blown_up():
    patches = fitted(torch.zeros(10, 1, 16, 16))
    assert patches.std.min() == pytest.approx(MIN_STD)
    assert torch.isfinite(patches.encode(torch.zeros(1, 1, 16, 16))).all()
