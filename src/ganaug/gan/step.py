"""One alternating update: D with G fixed, then G with D fixed.

G's update uses the images of D's update: G has not changed in between. D has changed, so a
relativistic loss of G computes both logits, of real and synthetic images, again. That adds 7 % to a
step ("r3" small at 64 px: 18.5 instead of 17.3 GFLOP, penalties at every fourth step).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ganaug.gan.anchors import Anchors
from ganaug.gan.augment import augment
from ganaug.gan.compute import Compute
from ganaug.gan.losses import AdversarialLoss
from ganaug.gan.networks import Companion, Discriminator, Generator
from ganaug.gan.penalties import between, one_centred_penalty, zero_centred_penalty


@dataclass
class Networks:
    """G and D with their optimisers, and the anchors, which training does not change."""

    G: Generator
    D: Companion  # a discriminator, unless the family says otherwise
    G_optimiser: torch.optim.Optimizer
    D_optimiser: torch.optim.Optimizer
    anchors: Anchors


@dataclass(frozen=True)
class Objective:
    """The losses of both networks, and the augmentation before D."""

    loss: AdversarialLoss
    r1_gamma: float  # half of it is the weight of D's squared gradient norm on real images
    r2_gamma: float  # the same on synthetic images
    gradient_penalty: float  # weight of (D's gradient norm - 1)^2 between both
    operations: Sequence[str]  # keys of `augment.OPERATIONS`
    augment_probability: float  # of each operation on each image, 0..1


@dataclass(frozen=True)
class SyntheticBatch:
    """G's images of a step, from one latent and label each."""

    images: Tensor  # [B, C, H, W]
    code: Tensor  # [B, M], that D is told
    terms: dict[str, tuple[float, Tensor]]  # of G's loss, with their weights, by name


@dataclass(frozen=True)
class Step:
    """An update of D, then of G, on one batch.

    Gradient penalties are computed in some steps only, weighted by `penalty_scale` (lazy
    regularisation, Karras et al. 2020, arXiv:1912.04958, appendix B).
    """

    networks: Networks  # changed in place
    objective: Objective
    compute: Compute
    generator: torch.Generator  # for augmentation and penalties, on the device
    penalty_scale: int  # 0 for a step without them
    updates_generator: bool
    reconstruction_weight: float  # of anchored images' distance to their real ones, in G's loss

    def take(self, real: Tensor, label: Tensor, z: Tensor) -> dict[str, Tensor]:
        """Update the networks.

        Args:
            real: [B, C, H, W] in [-1, 1].
            label: [B], of real and synthetic images alike.
            z: [B, Z] standard normal.
        Returns:
            Scalars on the device; reading them is left to the caller, since each read makes the
            host wait. A step without penalty or without G leaves its part out:
            - loss/generator, loss/discriminator, loss/total: L_G, L_D, L = L_G + L_D, the
              adversarial parts alone
            - loss/reconstruction: of the anchored images, unweighted
            - loss/mask: of translated images, the share that is new
            - probability/real, probability/synthetic: D's, that such an image is real
            - gradient_norm/generator, gradient_norm/discriminator
            - penalty/r1, penalty/r2: squared gradient norm, unweighted
            - penalty/gradient: (gradient norm - 1)^2 between real and synthetic, unweighted
        """
        real_code = self.networks.anchors.code(real, label)
        synthetic = self.make(real, real_code, label, z)
        statistics, encoded_real = self._update_discriminator(real, synthetic, label, real_code)
        if self.updates_generator:
            statistics |= self._update_generator(synthetic, label, encoded_real, real_code)
            both = statistics["loss/generator"] + statistics["loss/discriminator"]
            statistics["loss/total"] = both
        return {name: value.detach() for name, value in statistics.items()}

    def make(self, real: Tensor, real_code: Tensor, label: Tensor, z: Tensor) -> SyntheticBatch:
        """Make synthetic images, half of them from the codes of the real ones."""
        anchors = self.networks.anchors
        placed = anchors.place(z, real_code)
        with self.compute.autocast():
            images = self.networks.G(placed, label)
        distance = anchors.distance(images, real)
        terms = {"loss/reconstruction": (self.reconstruction_weight, distance)}
        return SyntheticBatch(images, placed[:, : anchors.code_dim], terms)

    def _update_discriminator(
        self, real: Tensor, synthetic: SyntheticBatch, label: Tensor, real_code: Tensor
    ) -> tuple[dict[str, Tensor], Tensor]:
        """Update D; return statistics, and the real images as D saw them."""
        objective, scale, code = self.objective, self.penalty_scale, synthetic.code
        D = self._discriminator.requires_grad_(True)
        moved = torch.cat([self._augment(real), self._augment(synthetic.images.detach())])
        encoded = D.encode(moved).requires_grad_(scale > 0)
        with self.compute.autocast():
            logits = _logits(D, encoded, torch.cat([label, label]), torch.cat([real_code, code]))
        real_logits, synthetic_logits = logits.chunk(2)
        loss = objective.loss.discriminator(real_logits, synthetic_logits)
        statistics = {
            "loss/discriminator": loss,
            "probability/real": real_logits.sigmoid().mean(),
            "probability/synthetic": synthetic_logits.sigmoid().mean(),
        }
        if scale and (objective.r1_gamma or objective.r2_gamma):
            r1, r2 = (half.mean() for half in zero_centred_penalty(logits, encoded).chunk(2))
            statistics |= {"penalty/r1": r1, "penalty/r2": r2}
            loss = loss + (objective.r1_gamma * r1 + objective.r2_gamma * r2) / 2 * scale
        if scale and objective.gradient_penalty:
            real_side, synthetic_side = encoded.detach().chunk(2)
            points = between(real_side, synthetic_side, self.generator).requires_grad_(True)
            with self.compute.autocast():
                penalty = one_centred_penalty(D(points, label, code), points).mean()
            statistics["penalty/gradient"] = penalty
            loss = loss + objective.gradient_penalty * penalty * scale
        (norm,) = self.descend(loss, (D, self.networks.D_optimiser))
        return statistics | {"gradient_norm/discriminator": norm}, encoded.detach().chunk(2)[0]

    def _update_generator(
        self, synthetic: SyntheticBatch, label: Tensor, encoded_real: Tensor, real_code: Tensor
    ) -> dict[str, Tensor]:
        """Update G; return statistics."""
        D = self._discriminator.requires_grad_(False)
        loss_of = self.objective.loss
        real_logits = torch.zeros(())  # read by a relative loss only
        with self.compute.autocast():
            if loss_of.is_relative:
                real_logits = D(encoded_real, label, real_code)
            synthetic_logits = D(D.encode(self._augment(synthetic.images)), label, synthetic.code)
        adversarial = loss_of.generator(real_logits, synthetic_logits)
        loss = adversarial + sum(weight * term for weight, term in synthetic.terms.values())
        (norm,) = self.descend(loss, (self.networks.G, self.networks.G_optimiser))
        return {
            "loss/generator": adversarial,
            "gradient_norm/generator": norm,
            **{name: term for name, (_, term) in synthetic.terms.items()},
        }

    def _augment(self, images: Tensor) -> Tensor:
        return augment(
            images,
            operations=self.objective.operations,
            probability=self.objective.augment_probability,
            generator=self.generator,
        )

    @property
    def _discriminator(self) -> Discriminator:
        assert isinstance(self.networks.D, Discriminator)
        return self.networks.D

    def descend(
        self, loss: Tensor, *learners: tuple[nn.Module, torch.optim.Optimizer]
    ) -> list[Tensor]:
        """Take one optimiser step of each network, averaged over processes.

        Returns:
            The norm of each network's gradient.
        """
        for _, optimiser in learners:
            optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        norms = []
        for network, optimiser in learners:
            self.compute.average_gradients(network)
            gradients = [p.grad for p in network.parameters() if p.grad is not None]
            norms.append(torch.nn.utils.get_total_norm(gradients))
            optimiser.step()
        return norms


def _logits(D: Discriminator, encoded: Tensor, label: Tensor, code: Tensor) -> Tensor:
    """D's logits of real, then synthetic images: one pass, unless D normalises over the batch."""
    if not D.normalises_batch:
        return D(encoded, label, code)  # type: ignore[no-any-return]
    halves = zip(encoded.chunk(2), label.chunk(2), code.chunk(2), strict=True)
    return torch.cat([D(*half) for half in halves])
