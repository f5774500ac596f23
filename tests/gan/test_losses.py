import math

import pytest
import torch

from ganaug.gan.losses import LOSSES


def probability(logits):
    return 1 / (1 + torch.exp(-logits))


REAL = torch.tensor([0.3, -1.2, 2.0, 0.0])
SYNTHETIC = torch.tensor([-0.7, 0.4, 1.1, -2.0])


def test_minimax_is_the_textbook_value_function():
    D_real, D_synthetic = probability(REAL), probability(SYNTHETIC)
    expected = -torch.log(D_real).mean() - torch.log(1 - D_synthetic).mean()
    assert LOSSES["minimax"].discriminator(REAL, SYNTHETIC).item() == pytest.approx(expected.item())
    expected = torch.log(1 - D_synthetic).mean()
    assert LOSSES["minimax"].generator(REAL, SYNTHETIC).item() == pytest.approx(expected.item())


def test_non_saturating_generator_maximises_log_d():
    expected = -torch.log(probability(SYNTHETIC)).mean()
    loss = LOSSES["non_saturating"].generator(REAL, SYNTHETIC)
    assert loss.item() == pytest.approx(expected.item())


def test_relativistic_compares_pairs():
    expected = -torch.log(probability(REAL - SYNTHETIC)).mean()
    loss = LOSSES["relativistic"].discriminator(REAL, SYNTHETIC)
    assert loss.item() == pytest.approx(expected.item())
    # The order of the pairs matters: it is not a comparison of means.
    other = LOSSES["relativistic"].discriminator(REAL, SYNTHETIC.flip(0))
    assert other.item() != pytest.approx(expected.item())


def test_hinge_ignores_what_is_beyond_the_margin():
    loss = LOSSES["hinge"].discriminator
    sure = loss(torch.tensor([5.0]), torch.tensor([-5.0]))
    assert sure.item() == 0
    assert loss(torch.tensor([0.0]), torch.tensor([0.0])).item() == 2


@pytest.mark.parametrize("name", LOSSES)
def test_discriminator_learns_to_part_and_generator_to_join(name):
    real = torch.zeros(4, requires_grad=True)
    synthetic = torch.zeros(4, requires_grad=True)
    LOSSES[name].discriminator(real, synthetic).backward()
    assert (real.grad < 0).all()  # descending raises the logits of reals
    assert (synthetic.grad > 0).all()
    synthetic.grad = None
    LOSSES[name].generator(real.detach(), synthetic).backward()
    assert (synthetic.grad < 0).all()


@pytest.mark.parametrize("name", ["minimax", "non_saturating", "relativistic"])
def test_losses_stay_finite_for_a_sure_discriminator(name):
    big = torch.tensor([200.0])
    assert math.isfinite(LOSSES[name].discriminator(-big, big).item())
    assert math.isfinite(LOSSES[name].generator(big, -big).item())
