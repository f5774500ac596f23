import torch

from ganaug.gan.penalties import between, one_centred_penalty, zero_centred_penalty


def penalised(penalty, weight, *, factor=1):
    """The penalty of a linear discriminator on three images."""
    images = torch.randn(3, *weight.shape[1:], requires_grad=True)
    return penalty((images * weight * factor).sum(dim=(1, 2, 3)), images)


def test_zero_centred_penalty_is_the_weight_squared_and_can_be_minimised():
    weight = torch.arange(4.0).reshape(1, 1, 2, 2).requires_grad_(True)
    penalty = penalised(zero_centred_penalty, weight)
    assert penalty.tolist() == [14.0] * 3
    penalty.mean().backward()
    assert torch.equal(weight.grad, 2 * weight)


def test_one_centred_penalty_is_zero_for_a_slope_of_one():
    weight = torch.tensor([0.6, 0.8]).reshape(1, 1, 1, 2)
    for factor, expected in ((1, 0.0), (3, 4.0), (0, 1.0)):
        penalty = penalised(one_centred_penalty, weight, factor=factor)
        assert torch.allclose(penalty, torch.full((3,), expected), atol=1e-5), factor


def test_between_lies_on_the_line_at_a_place_of_its_own_for_each_image():
    ones = torch.ones(50, 1, 2, 2)
    points = between(ones, torch.zeros_like(ones), torch.Generator().manual_seed(0))
    assert (points == points[:, :, :1, :1]).all()
    places = points[:, 0, 0, 0]
    assert places.unique().numel() == 50
    assert 0 < places.min() < 0.1
    assert 0.9 < places.max() < 1
