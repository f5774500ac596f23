"""Gradient penalties that keep D smooth where the data are."""

import torch
from torch import Tensor


def zero_centred_penalty(logits: Tensor, encoded: Tensor) -> Tensor:
    """Squared norm of D's gradient at each image: R1 on real images, R2 on synthetic ones.

    Args:
        logits: [N] scores of `encoded`, with their graph.
        encoded: [N, C, H, W] float32, `requires_grad` set: the *augmented* images in D's own
            coordinates, so that neither augmentation nor encoding needs a second derivative.
    Returns:
        [N] float32, ||dD/dx||^2 per image, neither weighted nor averaged.
    Source: Mescheder et al. 2018, arXiv:1801.04406, equations 9 and 10.
    """
    (gradient,) = torch.autograd.grad(logits.sum(), encoded, create_graph=True)
    return gradient.float().square().sum(dim=(1, 2, 3))


def one_centred_penalty(logits: Tensor, encoded: Tensor) -> Tensor:
    """(||dD/dx|| - 1)^2 per image, for images between real and synthetic ones.

    Args:
        logits, encoded: as in `zero_centred_penalty`; `encoded` from `between`.
    Returns:
        [N] float32, neither weighted nor averaged.
    Source: Gulrajani et al. 2017, arXiv:1704.00028, equation 3.
    """
    squared_norm = zero_centred_penalty(logits, encoded)
    return ((squared_norm + 1e-12).sqrt() - 1).square()


def between(real: Tensor, synthetic: Tensor, generator: torch.Generator) -> Tensor:
    """A random point on the line from each synthetic to its real image, [N, C, H, W] each."""
    n = len(real)
    share = torch.rand(n, 1, 1, 1, device=real.device, generator=generator)
    return torch.lerp(synthetic, real, share)
