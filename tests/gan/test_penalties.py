import torch

from ganaug.gan.penalties import between, one_centred_penalty, zero_centred_penalty


def test_penalty_of_a_linear_discriminator_is_its_weight_squared():
    weight = torch.arange(4.0).reshape(1, 1, 2, 2)
    images = torch.randn(3, 1, 2, 2, requires_grad=True)
    penalty = zero_centred_penalty((images * weight).sum(dim=(1, 2, 3)), images)
    assert penalty.tolist() == [14.0] * 3


def test_penalty_can_be_minimised():
    weight = torch.ones(1, 1, 2, 2, requires_grad=True)
    images = torch.randn(2, 1, 2, 2, requires_grad=True)
    zero_centred_penalty((images * weight).sum(dim=(1, 2, 3)), images).mean().backward()
    assert torch.equal(weight.grad, torch.full((1, 1, 2, 2), 2.0))


def test_one_centred_penalty_is_zero_for_a_slope_of_one():
    weight = torch.tensor([0.6, 0.8]).reshape(1, 1, 1, 2)
    images = torch.randn(3, 1, 1, 2, requires_grad=True)
    for factor, expected in ((1, 0.0), (3, 4.0), (0, 1.0)):
        logits = (images * weight * factor).sum(dim=(1, 2, 3))
        penalty = one_centred_penalty(logits, images)
        assert torch.allclose(penalty, torch.full((3,), expected), atol=1e-5)


def test_between_lies_on_the_line_at_a_place_of_its_own_for_each_image():
    points = between(
        torch.ones(50, 1, 2, 2), torch.zeros(50, 1, 2, 2), torch.Generator().manual_seed(0)
    )
    assert (points == points[:, :, :1, :1]).all()
    places = points[:, 0, 0, 0]
    assert places.unique().numel() == 50
    assert 0 < places.min() < 0.1
    assert 0.9 < places.max() < 1
