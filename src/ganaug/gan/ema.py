"""Exponential moving average of a network's weights: the generator that is sampled."""

import copy

import torch
from torch import nn


@torch.no_grad()
def update_ema(average: nn.Module, network: nn.Module, *, decay: float) -> None:
    """Set average = decay * average + (1 - decay) * network, in one fused call."""
    torch._foreach_lerp_(list(average.parameters()), list(network.parameters()), 1 - decay)


def make_average(network: nn.Module) -> nn.Module:
    """A copy of a network to hold the average of its weights; never trained itself."""
    return copy.deepcopy(network).eval().requires_grad_(False)
