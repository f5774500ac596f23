"""The state of a training run, and its conversion to tensors and JSON."""

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from ganaug.gan.networks import Generator
from ganaug.gan.step import Networks

FACTS = ("images_seen", "counts", "history", "best", "num_rollbacks")


@dataclass
class TrainingState:
    """Everything that changes while training; the rest is a pure function of (seed, step)."""

    networks: Networks
    G_ema: Generator  # averaged G, the one that is sampled
    images_seen: int = 0  # real images shown to D so far
    sums: dict[str, Tensor] = field(default_factory=dict)  # of statistics since the last log line
    counts: dict[str, int] = field(default_factory=dict)  # of steps in each of the sums
    history: list[dict[str, float]] = field(default_factory=list)  # of "images_seen" and values
    best: dict[str, float] | None = None  # "kid", "images_seen" and the other metrics, when best
    num_rollbacks: int = 0

    def tensors(self) -> dict[str, Tensor]:
        """All tensors under one flat set of names."""
        flat = {f"sums/{name}": total for name, total in self.sums.items()}
        for prefix, part in self._parts().items():
            held = part.state_dict()
            if isinstance(part, Optimizer):
                slots = held["state"].items()
                held = {f"{index}/{key}": v for index, slot in slots for key, v in slot.items()}
            flat |= {f"{prefix}/{name}": value for name, value in held.items()}
        return flat

    def facts(self) -> dict[str, Any]:
        """The rest, as JSON types."""
        return {name: getattr(self, name) for name in FACTS}

    def restore(self, tensors: dict[str, Tensor], facts: dict[str, Any]) -> None:
        """Restore the state from `tensors` and `facts`."""
        self.restore_weights(tensors)
        self.sums = below(tensors, "sums")
        for name in FACTS:
            setattr(self, name, facts[name])

    def restore_weights(self, tensors: dict[str, Tensor]) -> None:
        """Restore networks and optimisers only; keep clock, history and best."""
        for prefix, part in self._parts().items():
            held = below(tensors, prefix)
            if isinstance(part, Optimizer):
                _restore_optimiser(part, held)
            else:
                part.load_state_dict(held)

    def add(self, statistics: dict[str, Tensor]) -> None:
        """Add the statistics of one step, without reading from the device."""
        for name, value in statistics.items():
            self.sums[name] = self.sums[name].to(value) + value if name in self.sums else value
            self.counts[name] = self.counts.get(name, 0) + 1

    def pop_means(self) -> dict[str, float]:
        """Means by name since the last call, each over the steps that reported it."""
        totals = torch.stack(list(self.sums.values())).tolist() if self.sums else []
        means = {n: total / self.counts[n] for n, total in zip(self.sums, totals, strict=True)}
        self.sums, self.counts = {}, {}
        return means

    def _parts(self) -> dict[str, nn.Module | Optimizer]:
        return {**vars(self.networks), "G_ema": self.G_ema}


def _restore_optimiser(optimiser: Optimizer, flat: dict[str, Tensor]) -> None:
    """Load `index/key` tensors, each laid out in memory like the weights it belongs to.

    A fused optimiser walks weights and moments in memory order: with another layout it would pair
    each weight with another one's moments.
    """
    weights = [weight for group in optimiser.param_groups for weight in group["params"]]
    slots: dict[int, dict[str, Tensor]] = {}
    for name, value in flat.items():
        index, key = name.split("/")
        weight = weights[int(index)]
        alike = torch.empty_like(weight).copy_(value) if value.shape == weight.shape else value
        slots.setdefault(int(index), {})[key] = alike
    optimiser.load_state_dict(optimiser.state_dict() | {"state": slots})


def below(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The tensors named `prefix/...`, without the prefix."""
    start = f"{prefix}/"
    return {k.removeprefix(start): v for k, v in tensors.items() if k.startswith(start)}
