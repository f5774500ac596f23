import torch

from ganaug.gan.penalties import zero_centred_penalty


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
