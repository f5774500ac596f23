"""Differentiable augmentation: random changes of one kind to real and synthetic images before D.

D then can't memorise a few thousand images, and G does not learn the changes, since real images
have them too (Zhao et al. 2020, arXiv:2006.10738). Every operation maps [N, C, H, W] in [-1, 1] to
the same shape, draws one strength per image, and is applied to an image with probability p.
Cut-outs stay small and geometry keeps the label: stronger changes leak into the samples.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Generator, Tensor

Operation = Callable[[Tensor, Generator], Tensor]

MAX_TRANSLATION = 1 / 8  # of the side
MAX_BRIGHTNESS = 0.3  # on the [-1, 1] scale
CONTRAST_RANGE = (0.7, 1.3)
CUTOUT_SIDE = 0.2  # of the side


def augment(
    images: Tensor, *, operations: Sequence[str], probability: float, generator: Generator
) -> Tensor:
    """Apply each named operation to each image with the given probability.

    Args:
        images: [N, C, H, W] float in [-1, 1].
        operations: keys of `OPERATIONS`.
        probability: 0..1.
        generator: on the images' device; the only source of randomness.
    Returns:
        [N, C, H, W]; differentiable with respect to `images`.
    """
    for name in operations:
        draws = torch.rand(len(images), device=images.device, generator=generator)
        changed = OPERATIONS[name](images, generator)
        images = torch.where((draws < probability)[:, None, None, None], changed, images)
    return images


def _uniform(images: Tensor, low: float, high: float, generator: Generator) -> Tensor:
    """One draw per image, shaped [N, 1, 1, 1]."""
    draws = torch.rand(len(images), 1, 1, 1, device=images.device, generator=generator)
    return draws * (high - low) + low


def _translate(images: Tensor, generator: Generator) -> Tensor:
    """Shift by whole pixels, repeating the border: a zero border would leak as a dark frame."""
    n, _, height, width = images.shape
    device = images.device
    reach_y, reach_x = int(height * MAX_TRANSLATION), int(width * MAX_TRANSLATION)
    dy = torch.randint(-reach_y, reach_y + 1, (n, 1), device=device, generator=generator)
    dx = torch.randint(-reach_x, reach_x + 1, (n, 1), device=device, generator=generator)
    rows = (torch.arange(height, device=device) + dy).clamp(0, height - 1)  # [N, H]
    columns = (torch.arange(width, device=device) + dx).clamp(0, width - 1)  # [N, W]
    batch = torch.arange(n, device=device)[:, None, None]
    moved = images.permute(0, 2, 3, 1)[batch, rows[:, :, None], columns[:, None, :]]
    return moved.permute(0, 3, 1, 2)


def _brightness(images: Tensor, generator: Generator) -> Tensor:
    shift = _uniform(images, -MAX_BRIGHTNESS, MAX_BRIGHTNESS, generator)
    return images + shift


def _contrast(images: Tensor, generator: Generator) -> Tensor:
    mean = images.mean(dim=(1, 2, 3), keepdim=True)
    factor = _uniform(images, *CONTRAST_RANGE, generator)
    return (images - mean) * factor + mean


def _cutout(images: Tensor, generator: Generator) -> Tensor:
    _, _, height, width = images.shape
    half_y, half_x = height * CUTOUT_SIDE / 2, width * CUTOUT_SIDE / 2
    centre_y = _uniform(images, 0, height, generator)
    centre_x = _uniform(images, 0, width, generator)
    rows = torch.arange(height, device=images.device)[None, None, :, None]
    columns = torch.arange(width, device=images.device)[None, None, None, :]
    hole = ((rows - centre_y).abs() < half_y) & ((columns - centre_x).abs() < half_x)
    return images * ~hole


OPERATIONS: dict[str, Operation] = {
    "translate": _translate,
    "brightness": _brightness,
    "contrast": _contrast,
    "cutout": _cutout,
}
