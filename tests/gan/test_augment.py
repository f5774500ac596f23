import torch

from ganaug.gan.augment import OPERATIONS, augment

IMAGES = torch.rand(64, 3, 16, 16, generator=torch.Generator().manual_seed(1)) * 2 - 1


def run(images, operations, probability=1.0, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return augment(images, operations=operations, probability=probability, generator=generator)


def test_each_operation_differs_by_image_keeps_the_shape_and_is_differentiable_twice():
    same = IMAGES[:1].expand(64, -1, -1, -1)
    for name in OPERATIONS:
        moved = run(same, [name])
        assert moved.shape == same.shape, name
        assert len({image.numpy().tobytes() for image in moved}) > 10, name
        assert torch.equal(run(IMAGES, [name], probability=0.0), IMAGES), name
        leaf = IMAGES[:4].double().requires_grad_(True)
        (gradient,) = torch.autograd.grad(run(leaf, [name]).pow(3).sum(), leaf, create_graph=True)
        gradient.square().sum().backward()
        assert leaf.grad.abs().sum() > 0, name


def test_half_the_images_change_at_probability_one_half():
    changed = (run(IMAGES, ["brightness"], probability=0.5) != IMAGES).any(dim=(1, 2, 3))
    assert 16 < changed.sum() < 48


def test_translation_shifts_whole_pixels_and_repeats_the_border():
    image = torch.arange(16.0).expand(1, 1, 16, 16)  # columns 0..15
    rows = {tuple(run(image, ["translate"], seed=s)[0, 0, 0].tolist()) for s in range(40)}
    shifts = {tuple(float(min(max(i + d, 0), 15)) for i in range(16)) for d in range(-2, 3)}
    assert shifts == rows


def test_cutout_is_small():
    removed = (run(torch.ones(200, 1, 20, 20), ["cutout"]) == 0).float().mean(dim=(1, 2, 3))
    assert 0 < removed.max() <= 0.2**2 * 1.6  # 4 x 4 px of 20, or 5 x 5 by rounding


def test_same_generator_state_gives_the_same_moves():
    first, again, other = (
        run(IMAGES, ["translate", "contrast", "cutout"], seed=s) for s in (3, 3, 4)
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
