import pytest
import torch

from ganaug.gan.anchors import CLAMP, Anchors
from ganaug.gan.networks import Architecture


def fitted(num_classes, batches, flips=()):
    """Codes of four numbers, for grey images of 16 x 16 px."""
    anchors = Anchors(Architecture("r3", 16, 1, num_classes, z_dim=8, widths=(16,), patch=2))
    assert anchors.code_dim == 4
    anchors.fit(batches, flips=flips)
    return anchors


def noise(*shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def images():
    """Two classes of smooth images, [200, 1, 16, 16]: class means differ, so do the spreads."""
    label = torch.arange(200) % 2
    own = label[:, None, None, None]
    coarse = noise(200, 1, 2, 2) * 0.2 * (1 + own) + own * 0.5
    return torch.nn.functional.interpolate(coarse, size=(16, 16), mode="nearest"), label


@pytest.fixture
def anchors(images):
    return fitted(2, [images])


def test_codes_are_standardised_in_each_class_and_differ_by_image(anchors, images):
    codes = anchors.code(*images)
    for of_class in (codes[::2], codes[1::2]):
        assert torch.allclose(of_class.mean(dim=0), torch.zeros(4), atol=0.1)
        assert torch.allclose(of_class.std(dim=0), torch.ones(4), atol=0.1)
    assert len({tuple(row.tolist()) for row in codes}) == 200


def test_every_second_row_is_anchored_and_the_rest_is_left(anchors, images):
    z, code = torch.full((200, 8), 9.0), anchors.code(*images)
    placed = anchors.place(z, code)
    assert (placed[1::2] == 9).all()
    assert (placed[::2, 4:] == 9).all()
    assert torch.equal(placed[::2, :4], code[::2])
    assert (code.abs() <= CLAMP).all()
    assert (z == 9).all()  # not changed in place


def test_distance_is_zero_at_the_image_and_sees_anchored_rows_and_coarse_structure(anchors, images):
    real, label = images
    assert anchors.distance(real, real).item() == 0
    same_class = real[label == 1]
    away = anchors.distance(same_class, same_class.roll(2, 0)).item()
    assert 1.5 < away < 5  # twice the within-class variance, larger in this class than on average
    other = real.clone()
    other[1::2] = 0
    checker = (torch.arange(16)[:, None] + torch.arange(16)) % 2 * 2.0 - 1
    assert anchors.distance(other + checker, real).item() == pytest.approx(0, abs=1e-9)


def test_flipped_images_get_codes_as_usual_as_the_others():
    images = noise(200, 1, 16, 16) * 0.1 + torch.linspace(-1, 1, 16)  # bright on the right
    label = torch.zeros(200, dtype=torch.int64)
    codes = fitted(1, [(images, label)], flips=("hflip",)).code(images.flip(3), label)
    assert codes[:, 0].abs().max() < 1.5  # the side that is bright
    assert torch.allclose(codes.square().mean(dim=0), torch.ones(4), atol=0.3)


def test_class_of_few_images_leans_on_the_others():
    images, label = noise(301, 1, 16, 16), torch.zeros(301, dtype=torch.int64)
    label[-1] = 1
    anchors = fitted(2, [(images, label)])
    assert torch.allclose(anchors.stds[1], anchors.stds[0] * (4 / 5) ** 0.5, rtol=0.05)
    assert anchors.code(images[-1:], label[-1:]).isfinite().all()


def test_many_small_batches_give_what_one_gives(anchors, images):
    parts = fitted(2, zip(images[0].split(7), images[1].split(7), strict=True))
    for first, second in zip(anchors.buffers(), parts.buffers(), strict=True):
        assert torch.equal(first, second)
