"""Training throughput against the convolution rate that this machine reaches on the same layers.

The limit: every convolution and linear layer of G and D alone, forward and backward, at the shapes
and in the precision of training. No training loop around the same layers can be faster.
"""

from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.random_images import default_architecture, random_batches, take_step
from benchmarks.timing import seconds_of
from ganaug.config import load_params
from ganaug.gan.compute import Compute, choose_compute
from ganaug.gan.networks import Discriminator
from ganaug.gan.step import Networks
from ganaug.gan.trainer import make_state

REPEATS = 20


def main() -> None:
    """Print FLOP/s of a training step, of its layers alone, and their ratio."""
    params = load_params(Path("params.yaml")).train
    compute = choose_compute(device="cpu", precision=params.precision)
    architecture = default_architecture(1, params.z_dim)
    batches = random_batches(params.batch_size, 1, params, compute.device)
    networks = make_state(architecture, params, batches, seed=0, device=compute.device).networks
    real, label = batches.draw(0)
    stream = torch.Generator().manual_seed(0)
    z = torch.randn(params.batch_size, networks.G.latent_dim)
    how: dict[str, Any] = {"params": params, "compute": compute, "stream": stream}
    whole = _rate(lambda number: take_step(networks, (real, label), z, **how, number=number))
    layers = _layer_rate(networks, z, real, label, compute)
    print(
        f"training: {whole / 1e9:.0f} GFLOP/s, its layers alone {layers / 1e9:.0f}, "
        f"ratio {whole / layers:.2f} ({compute.describe()})"
    )


class _FlopCounter(FlopCounterMode):
    """Asks no module what it did: the hooks for that refuse the double backward of penalties."""

    def __init__(self) -> None:
        super().__init__(display=False)
        self.mod_tracker = _NoModules()  # type: ignore[assignment]


class _NoModules(nullcontext[None]):
    parents = frozenset({"Global"})


def _rate(work: Callable[[int], None]) -> float:
    """FLOP/s of `work(0) .. work(REPEATS - 1)`."""

    def repeat() -> None:
        for number in range(REPEATS):
            work(number)

    counter = _FlopCounter()
    with counter:
        repeat()
    return counter.get_total_flops() / seconds_of(repeat)


def _layer_rate(
    networks: Networks, z: Tensor, real: Tensor, label: Tensor, compute: Compute
) -> float:
    """FLOP/s of all layers one by one, forward and backward, on the inputs that they meet."""
    inputs: list[tuple[nn.Module, Tensor]] = []

    def remember(layer: nn.Module, arguments: tuple[Tensor, ...], _output: Tensor) -> None:
        inputs.append((layer, arguments[0].detach().clone()))

    G, D = networks.G, networks.D
    assert isinstance(D, Discriminator)
    layers = [
        layer
        for network in (G, D)
        for layer in network.modules()
        if isinstance(layer, nn.Conv2d | nn.Linear)
    ]
    handles = [layer.register_forward_hook(remember) for layer in layers]
    with compute.autocast():
        G(z, label)
        both = torch.cat([real, real])
        code = networks.anchors.code(real, label)
        D(D.encode(both), torch.cat([label, label]), code.repeat(2, 1))
    for handle in handles:
        handle.remove()

    def one_by_one(_number: int) -> None:
        for layer, given in inputs:
            leaf = given.requires_grad_(True)
            with compute.autocast():
                output = layer(leaf)
            output.backward(torch.ones_like(output))

    D.requires_grad_(True)
    return _rate(one_by_one)
