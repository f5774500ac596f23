"""Exponential moving average of a network's weights: the generator that is sampled."""

import copy
from typing import TypeVar

import torch
from torch import nn

Network = TypeVar("Network", bound=nn.Module)


@torch.no_grad()
def update_ema(average: nn.Module, network: nn.Module, *, decay: float) -> None:
    """Set average = decay * average + (1 - decay) * network; buffers are copied."""
    torch._foreach_lerp_(list(average.parameters()), list(network.parameters()), 1 - decay)
    for old, new in zip(average.buffers(), network.buffers(), strict=True):
        old.copy_(new)


def make_average(network: Network) -> Network:
    """A copy of a network to hold the average of its weights; never trained itself."""
    return copy.deepcopy(network).eval().requires_grad_(False)
