"""One alternating update, as the textbook states it: D with G fixed, then G with D fixed.

G's images of the D update serve its own update too: G has not changed in between, so drawing them
again would only repeat the forward pass.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ganaug.gan.augment import augment
from ganaug.gan.compute import Compute
from ganaug.gan.losses import AdversarialLoss
from ganaug.gan.networks import Discriminator, Generator
from ganaug.gan.penalties import zero_centred_penalty

# What a step reports, in this order.
STATISTICS = (
    "loss/generator",
    "loss/discriminator",
    "loss/total",  # L = L_G + L_D
    "probability/real",  # D's, that a real image is real
    "probability/synthetic",
    "gradient_norm/generator",
    "gradient_norm/discriminator",
    "penalty/r1",  # squared gradient norm, unweighted; 0 in a step without penalty
    "penalty/r2",
)


@dataclass(frozen=True)
class StepRecipe:
    """What the update needs to know.

    Args:
        loss: the adversarial loss.
        operations: augmentations, keys of `augment.OPERATIONS`.
        augment_probability: 0..1.
        r1_gamma, r2_gamma: penalty weights; the loss is gamma / 2 x squared gradient norm.
        penalty_interval: steps between penalties, each then weighted by this number
            (lazy regularisation, Karras et al. 2020, arXiv:1912.04958, appendix B).
    """

    loss: AdversarialLoss
    operations: Sequence[str]
    augment_probability: float
    r1_gamma: float
    r2_gamma: float
    penalty_interval: int


@dataclass
class Networks:
    """G and D with their optimisers."""

    G: Generator
    D: Discriminator
    G_optimiser: torch.optim.Optimizer
    D_optimiser: torch.optim.Optimizer


def train_step(
    networks: Networks,
    *,
    real: Tensor,
    label: Tensor,
    z: Tensor,
    with_penalty: bool,
    recipe: StepRecipe,
    compute: Compute,
    generator: torch.Generator,
) -> Tensor:
    """Update D, then G.

    Args:
        networks: changed in place.
        real: [B, C, H, W] in [-1, 1].
        label: [B]; synthetic images carry the labels of the reals beside them.
        z: [B, Z] standard normal.
        with_penalty: take R1 and R2 in this step.
        recipe: see there.
        compute: device and precision.
        generator: for the augmentation, on the device.
    Returns:
        [len(STATISTICS)] float32 on the device; reading it is left to the caller, since each read
        makes the host wait.
    """
    with compute.autocast():
        synthetic = networks.G(z, label)

    def move(images: Tensor) -> Tensor:
        return augment(
            images,
            operations=recipe.operations,
            probability=recipe.augment_probability,
            generator=generator,
        )

    both = torch.cat([move(real), move(synthetic.detach())])
    D_loss, real_logits, synthetic_logits, penalties = _update_discriminator(
        networks,
        both,
        torch.cat([label, label]),
        with_penalty=with_penalty,
        recipe=recipe,
        compute=compute,
    )
    D_norm = _gradient_norm(networks.D)
    G_loss = _update_generator(
        networks, move(synthetic), label, real_logits, recipe=recipe, compute=compute
    )
    return torch.stack(
        [
            G_loss,
            D_loss,
            G_loss + D_loss,
            real_logits.sigmoid().mean(),
            synthetic_logits.sigmoid().mean(),
            _gradient_norm(networks.G),
            D_norm,
            *penalties,
        ]
    ).detach()


def _update_discriminator(
    networks: Networks,
    images: Tensor,
    label: Tensor,
    *,
    with_penalty: bool,
    recipe: StepRecipe,
    compute: Compute,
) -> tuple[Tensor, Tensor, Tensor, tuple[Tensor, Tensor]]:
    """Loss, logits of both halves, mean R1 and R2; `images` are reals, then synthetics."""
    networks.D.requires_grad_(True)
    encoded = networks.D.encode(images).requires_grad_(with_penalty)
    with compute.autocast():
        logits = networks.D(encoded, label)
    real_logits, synthetic_logits = logits.chunk(2)
    adversarial = recipe.loss.discriminator(real_logits, synthetic_logits)
    total = adversarial
    zero = torch.zeros_like(adversarial)
    penalties = (zero, zero)
    if with_penalty:
        r1, r2 = zero_centred_penalty(logits, encoded).chunk(2)
        penalties = (r1.mean(), r2.mean())
        weighted = recipe.r1_gamma * penalties[0] + recipe.r2_gamma * penalties[1]
        total = adversarial + weighted / 2 * recipe.penalty_interval
    networks.D_optimiser.zero_grad(set_to_none=True)
    total.backward()  # type: ignore[no-untyped-call]
    networks.D_optimiser.step()
    return adversarial, real_logits.detach(), synthetic_logits.detach(), penalties


def _update_generator(
    networks: Networks,
    synthetic: Tensor,
    label: Tensor,
    real_logits: Tensor,
    *,
    recipe: StepRecipe,
    compute: Compute,
) -> Tensor:
    """Loss of G; the reals' logits are those of D's update, one step of D old."""
    networks.D.requires_grad_(False)
    with compute.autocast():
        synthetic_logits = networks.D(networks.D.encode(synthetic), label)
    loss = recipe.loss.generator(real_logits, synthetic_logits)
    networks.G_optimiser.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    networks.G_optimiser.step()
    return loss


def _gradient_norm(network: nn.Module) -> Tensor:
    return torch.nn.utils.get_total_norm(
        [p.grad for p in network.parameters() if p.grad is not None]
    )
