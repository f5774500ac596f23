import math

import pytest
import torch

from ganaug.gan.losses import LOSSES

REAL = torch.tensor([0.3, -1.2, 2.0, 0.0])
SYNTHETIC = torch.tensor([-0.7, 0.4, 1.1, -2.0])


def log_probability(logits):
    return torch.log(1 / (1 + torch.exp(-logits)))


def test_losses_are_those_of_the_textbooks():
    both = -log_probability(REAL).mean() - log_probability(-SYNTHETIC).mean()
    pairs = -log_probability(REAL - SYNTHETIC).mean()
    for name, network, expected in (
        ("minimax", "discriminator", both),
        ("minimax", "generator", log_probability(-SYNTHETIC).mean()),
        ("non_saturating", "generator", -log_probability(SYNTHETIC).mean()),
        ("relativistic", "discriminator", pairs),
    ):
        loss = getattr(LOSSES[name], network)(REAL, SYNTHETIC)
        assert loss.item() == pytest.approx(expected.item()), (name, network)
    # The order of the pairs matters: it is not a comparison of means.
    other = LOSSES["relativistic"].discriminator(REAL, SYNTHETIC.flip(0))
    assert other.item() != pytest.approx(pairs.item())


def test_hinge_ignores_what_is_beyond_the_margin():
    for logit, expected in ((5.0, 0), (0.0, 2)):
        real, synthetic = torch.tensor([logit]), torch.tensor([-logit])
        assert LOSSES["hinge"].discriminator(real, synthetic).item() == expected


def test_discriminator_learns_to_part_and_generator_to_join():
    for name, loss in LOSSES.items():
        real, synthetic = (torch.zeros(4, requires_grad=True) for _ in "ab")
        loss.discriminator(real, synthetic).backward()
        assert (real.grad < 0).all(), name  # descending raises the logits of reals
        assert (synthetic.grad > 0).all(), name
        synthetic.grad = None
        loss.generator(real.detach(), synthetic).backward()
        assert (synthetic.grad < 0).all(), name


def test_losses_stay_finite_for_a_sure_discriminator():
    big = torch.tensor([200.0])
    for name in ("minimax", "non_saturating", "relativistic"):
        assert math.isfinite(LOSSES[name].discriminator(-big, big).item()), name
        assert math.isfinite(LOSSES[name].generator(big, -big).item()), name
