"""Adversarial losses of D and G, as functions of D's logits.

D's probability that an image is real is sigmoid(logit); log D(x) = -softplus(-logit). To add a
loss, add an entry to `LOSSES`. All take logits [N] float32 and return a scalar.
"""

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor
from torch.nn.functional import relu, softplus


@dataclass(frozen=True)
class AdversarialLoss:
    """The losses of D and G, each a function (real_logits, synthetic_logits)."""

    discriminator: Callable[[Tensor, Tensor], Tensor]
    generator: Callable[[Tensor, Tensor], Tensor]
    is_relative: bool = False  # whether G's depends on the reals' logits


def _log_likelihood_loss(real: Tensor, synthetic: Tensor) -> Tensor:
    """-E[log D(x)] - E[log(1 - D(G(z)))]: D's side of the textbook game."""
    return softplus(-real).mean() + softplus(synthetic).mean()


LOSSES: dict[str, AdversarialLoss] = {
    # Each synthetic image is compared with the real image of its own class beside it in the batch.
    # Huang et al. 2024, arXiv:2501.05441 (R3GAN); Jolicoeur-Martineau 2018, arXiv:1807.00734.
    "relativistic": AdversarialLoss(
        discriminator=lambda real, synthetic: softplus(synthetic - real).mean(),
        generator=lambda real, synthetic: softplus(real - synthetic).mean(),
        is_relative=True,
    ),
    # Goodfellow et al. 2014, arXiv:1406.2661, section 3: G maximises log D(G(z)).
    "non_saturating": AdversarialLoss(
        discriminator=_log_likelihood_loss,
        generator=lambda real, synthetic: softplus(-synthetic).mean(),
    ),
    # The same paper's equation 1, literally: G minimises E[log(1 - D(G(z)))].
    "minimax": AdversarialLoss(
        discriminator=_log_likelihood_loss,
        generator=lambda real, synthetic: -softplus(synthetic).mean(),
    ),
    # Lim and Ye 2017, arXiv:1705.02894.
    "hinge": AdversarialLoss(
        discriminator=lambda real, synthetic: relu(1 - real).mean() + relu(1 + synthetic).mean(),
        generator=lambda real, synthetic: -synthetic.mean(),
    ),
    # Gulrajani et al. 2017, arXiv:1704.00028: D is a critic, its mean difference estimates the
    # Wasserstein distance as long as `train.gradient_penalty` keeps its slope near one.
    "wgan_gp": AdversarialLoss(
        discriminator=lambda real, synthetic: synthetic.mean() - real.mean(),
        generator=lambda real, synthetic: -synthetic.mean(),
    ),
}
