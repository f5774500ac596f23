"""One alternating update, as the textbook states it: D with G fixed, then G with D fixed.

G's images of the D update serve its own update too: G has not changed in between, so drawing them
again would only repeat the forward pass.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ganaug.gan.anchors import Anchors
from ganaug.gan.augment import augment
from ganaug.gan.compute import Compute
from ganaug.gan.losses import AdversarialLoss
from ganaug.gan.networks import Discriminator, Generator
from ganaug.gan.penalties import between, one_centred_penalty, zero_centred_penalty

# What a step reports; a step without penalty or without G leaves its part out.
STATISTICS = (
    "loss/generator",
    "loss/discriminator",
    "loss/total",  # L = L_G + L_D
    "loss/reconstruction",  # of the anchored images, unweighted
    "probability/real",  # D's, that a real image is real
    "probability/synthetic",
    "gradient_norm/generator",
    "gradient_norm/discriminator",
    "penalty/r1",  # squared gradient norm, unweighted
    "penalty/r2",
    "penalty/gradient",  # (gradient norm - 1)^2 between real and synthetic images, unweighted
)


@dataclass(frozen=True)
class StepRecipe:
    """What the update needs to know.

    Args:
        loss: the adversarial loss.
        operations: augmentations, keys of `augment.OPERATIONS`.
        augment_probability: 0..1.
        r1_gamma, r2_gamma: penalty weights; the loss is gamma / 2 x squared gradient norm.
        gradient_penalty: weight of the one-centred penalty between real and synthetic images.
    """

    loss: AdversarialLoss
    operations: Sequence[str]
    augment_probability: float
    r1_gamma: float
    r2_gamma: float
    gradient_penalty: float


@dataclass(frozen=True)
class StepPlan:
    """What this one step takes.

    Args:
        penalty_scale: 0 for a step without gradient penalties; else the steps that it stands for
            (lazy regularisation, Karras et al. 2020, arXiv:1912.04958, appendix B).
        updates_generator: whether G is updated after D.
        reconstruction_weight: of the anchored images' distance to their real images, in G's loss.
    """

    penalty_scale: int
    updates_generator: bool
    reconstruction_weight: float


@dataclass
class Networks:
    """G and D with their optimisers, and the anchors, which training leaves as they are."""

    G: Generator
    D: Discriminator
    G_optimiser: torch.optim.Optimizer
    D_optimiser: torch.optim.Optimizer
    anchors: Anchors


def train_step(
    networks: Networks,
    *,
    real: Tensor,
    label: Tensor,
    z: Tensor,
    plan: StepPlan,
    recipe: StepRecipe,
    compute: Compute,
    generator: torch.Generator,
) -> dict[str, Tensor]:
    """Update D, then G.

    Args:
        networks: changed in place.
        real: [B, C, H, W] in [-1, 1].
        label: [B]; synthetic images carry the labels of the reals beside them.
        z: [B, Z] standard normal.
        plan, recipe: see there.
        compute: device, precision and the sum over processes.
        generator: for augmentation and penalties, on the device.
    Returns:
        Scalars on the device, by names among `STATISTICS`; reading them is left to the caller,
        since each read makes the host wait.
    """

    def move(images: Tensor) -> Tensor:
        return augment(
            images,
            operations=recipe.operations,
            probability=recipe.augment_probability,
            generator=generator,
        )

    real_code = networks.anchors.code(real, label)
    placed = networks.anchors.place(z, real_code)
    synthetic_code = placed[:, : networks.anchors.code_dim]
    with compute.autocast():
        synthetic = networks.G(placed, label)
    statistics, real_logits = _update_discriminator(
        networks,
        move(real),
        move(synthetic.detach()),
        label,
        real_code,
        synthetic_code,
        penalty_scale=plan.penalty_scale,
        recipe=recipe,
        compute=compute,
        generator=generator,
    )
    if plan.updates_generator:
        statistics |= _update_generator(
            networks,
            synthetic,
            move,
            real,
            label,
            synthetic_code,
            real_logits,
            reconstruction_weight=plan.reconstruction_weight,
            recipe=recipe,
            compute=compute,
        )
        statistics["loss/total"] = statistics["loss/generator"] + statistics["loss/discriminator"]
    return {name: value.detach() for name, value in statistics.items()}


def _update_discriminator(
    networks: Networks,
    real: Tensor,
    synthetic: Tensor,
    label: Tensor,
    real_code: Tensor,
    synthetic_code: Tensor,
    *,
    penalty_scale: int,
    recipe: StepRecipe,
    compute: Compute,
    generator: torch.Generator,
) -> tuple[dict[str, Tensor], Tensor]:
    """Statistics and the reals' logits; the images are augmented already."""
    D = networks.D.requires_grad_(True)
    encoded = D.encode(torch.cat([real, synthetic])).requires_grad_(penalty_scale > 0)
    with compute.autocast():
        logits = _logits(
            D, encoded, torch.cat([label, label]), torch.cat([real_code, synthetic_code])
        )
    real_logits, synthetic_logits = logits.chunk(2)
    loss = recipe.loss.discriminator(real_logits, synthetic_logits)
    statistics = {
        "loss/discriminator": loss,
        "probability/real": real_logits.sigmoid().mean(),
        "probability/synthetic": synthetic_logits.sigmoid().mean(),
    }
    total = loss
    if penalty_scale and (recipe.r1_gamma or recipe.r2_gamma):
        r1, r2 = (half.mean() for half in zero_centred_penalty(logits, encoded).chunk(2))
        statistics |= {"penalty/r1": r1, "penalty/r2": r2}
        total = total + (recipe.r1_gamma * r1 + recipe.r2_gamma * r2) / 2 * penalty_scale
    if penalty_scale and recipe.gradient_penalty:
        real_side, synthetic_side = encoded.detach().chunk(2)
        points = between(real_side, synthetic_side, generator).requires_grad_(True)
        with compute.autocast():
            penalty = one_centred_penalty(D(points, label, synthetic_code), points).mean()
        statistics["penalty/gradient"] = penalty
        total = total + recipe.gradient_penalty * penalty * penalty_scale
    statistics["gradient_norm/discriminator"] = _descend(
        D, networks.D_optimiser, total, compute=compute
    )
    return statistics, real_logits.detach()


def _update_generator(
    networks: Networks,
    synthetic: Tensor,
    move: Callable[[Tensor], Tensor],
    real: Tensor,
    label: Tensor,
    code: Tensor,
    real_logits: Tensor,
    *,
    reconstruction_weight: float,
    recipe: StepRecipe,
    compute: Compute,
) -> dict[str, Tensor]:
    """Statistics; the reals' logits are those of D's update, one step of D old."""
    D = networks.D.requires_grad_(False)
    with compute.autocast():
        synthetic_logits = D(D.encode(move(synthetic)), label, code)
    adversarial = recipe.loss.generator(real_logits, synthetic_logits)
    reconstruction = networks.anchors.distance(synthetic, real)
    total = adversarial + reconstruction_weight * reconstruction
    return {
        "loss/generator": adversarial,
        "loss/reconstruction": reconstruction,
        "gradient_norm/generator": _descend(
            networks.G, networks.G_optimiser, total, compute=compute
        ),
    }


def _logits(D: Discriminator, encoded: Tensor, label: Tensor, code: Tensor) -> Tensor:
    """D's logits of reals, then synthetics: one pass, unless batch statistics would mix them."""
    if not D.normalises_batch:
        return D(encoded, label, code)  # type: ignore[no-any-return]
    halves = zip(encoded.chunk(2), label.chunk(2), code.chunk(2), strict=True)
    return torch.cat([D(*half) for half in halves])


def _descend(
    network: nn.Module, optimiser: torch.optim.Optimizer, loss: Tensor, *, compute: Compute
) -> Tensor:
    """One optimiser step along the loss, averaged over processes; the gradient's norm."""
    optimiser.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    compute.average_gradients(network)
    gradients = [p.grad for p in network.parameters() if p.grad is not None]
    norm = torch.nn.utils.get_total_norm(gradients)
    optimiser.step()
    return norm
