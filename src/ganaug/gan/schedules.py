"""Schedules, pure functions of the images seen, so resuming needs no state; the averaged G."""

import math

import torch
from torch import nn


def cosine(progress: float, *, start: float, end: float) -> float:
    """From `start` at progress 0 to `end` at progress 1 along half a cosine."""
    return end + (start - end) * 0.5 * (1 + math.cos(math.pi * min(progress, 1.0)))


def fading(progress: float, *, start: float, until: float) -> float:
    """Linear from `start` at progress 0 to 0 at `until`; 0 afterwards."""
    return start * max(0.0, 1 - progress / until)


def penalty_scale(step: int, *, interval: int) -> int:
    """How many steps the penalties of this step stand for; 0 for a step without them."""
    return 0 if step % interval else interval


def ema_decay(images_seen: int, *, batch_size: int, half_life_kimg: float) -> float:
    """Share of the old average that one step keeps.

    The half-life is at most a tenth of the images seen, so that the average forgets the random
    start quickly (Karras et al. 2020, arXiv:2006.06676, appendix B).
    """
    half_life = min(half_life_kimg * 1000, 0.1 * images_seen)
    return float(0.5 ** (batch_size / max(half_life, 1e-8)))


@torch.no_grad()
def update_ema(average: nn.Module, network: nn.Module, *, decay: float) -> None:
    """Set average = decay * average + (1 - decay) * network; buffers are copied."""
    torch._foreach_lerp_(list(average.parameters()), list(network.parameters()), 1 - decay)
    for old, new in zip(average.buffers(), network.buffers(), strict=True):
        old.copy_(new)
