import pytest
import torch

from ganaug.gan.augment import OPERATIONS, augment


def run(images, operations, probability=1.0, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return augment(images, operations=operations, probability=probability, generator=generator)


@pytest.fixture
def images():
    return torch.rand(64, 3, 16, 16, generator=torch.Generator().manual_seed(1)) * 2 - 1


@pytest.mark.parametrize("name", OPERATIONS)
def test_operation_keeps_shape_and_changes_each_image_differently(images, name):
    same = images[:1].expand(64, -1, -1, -1)
    moved = run(same, [name])
    assert moved.shape == same.shape
    distinct = len({image.numpy().tobytes() for image in moved})
    assert distinct > 10


@pytest.mark.parametrize("name", OPERATIONS)
def test_probability_zero_changes_nothing(images, name):
    assert torch.equal(run(images, [name], probability=0.0), images)


@pytest.mark.parametrize("name", OPERATIONS)
def test_operation_is_differentiable_twice(images, name):
    leaf = images[:4].double().requires_grad_(True)
    (gradient,) = torch.autograd.grad(run(leaf, [name]).pow(3).sum(), leaf, create_graph=True)
    gradient.square().sum().backward()
    assert leaf.grad.abs().sum() > 0


def test_half_the_images_change_at_probability_one_half(images):
    changed = (run(images, ["brightness"], probability=0.5) != images).any(dim=(1, 2, 3))
    assert 16 < changed.sum() < 48


def test_translation_shifts_whole_pixels_and_repeats_the_border():
    image = torch.arange(16.0).expand(1, 1, 16, 16)  # columns 0..15
    rows = {tuple(run(image, ["translate"], seed=s)[0, 0, 0].tolist()) for s in range(40)}
    shifts = {tuple(min(max(i + d, 0), 15) for i in range(16)) for d in range(-2, 3)}
    assert {tuple(map(float, shift)) for shift in shifts} == rows


def test_cutout_is_small(images):
    removed = (run(torch.ones(200, 1, 20, 20), ["cutout"]) == 0).float().mean(dim=(1, 2, 3))
    assert 0 < removed.max() <= 0.2**2 * 1.6  # 4 x 4 px of 20, or 5 x 5 by rounding


def test_same_generator_state_gives_the_same_moves(images):
    operations = ["translate", "contrast", "cutout"]
    assert torch.equal(run(images, operations, seed=3), run(images, operations, seed=3))
    assert not torch.equal(run(images, operations, seed=3), run(images, operations, seed=4))
