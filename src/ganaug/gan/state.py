"""The state of a training run, and how it turns into tensors and JSON and back."""

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from ganaug.gan.step import STATISTICS, Networks


@dataclass
class TrainingState:
    """Everything that changes while training; the rest is a pure function of (seed, step).

    Args:
        networks: G, D and their optimisers.
        G_ema: averaged G, the one that is sampled.
        images_seen: real images shown to D so far.
        sums: [len(STATISTICS)], statistics since the last log line.
        num_summed, num_penalties: steps in `sums`, and those among them with a penalty.
        history: one dict a log line or evaluation, each with `images_seen`.
        best: facts of the best evaluation so far: "kid", "images_seen" and its other metrics.
        best_weights: G_ema's weights at that moment.
    """

    networks: Networks
    G_ema: nn.Module
    sums: Tensor
    images_seen: int = 0
    num_summed: int = 0
    num_penalties: int = 0
    history: list[dict[str, float]] = field(default_factory=list)
    best: dict[str, float] | None = None
    best_weights: dict[str, Tensor] = field(default_factory=dict)

    def tensors(self) -> dict[str, Tensor]:
        """All tensors under one flat set of names."""
        flat = {"sums": self.sums}
        for prefix, module in self._modules().items():
            flat |= {f"{prefix}/{name}": value for name, value in module.state_dict().items()}
        for prefix, optimiser in self._optimisers().items():
            for index, slots in optimiser.state_dict()["state"].items():
                flat |= {f"{prefix}/{index}/{key}": value for key, value in slots.items()}
        return flat | {f"best/{name}": value for name, value in self.best_weights.items()}

    def facts(self) -> dict[str, Any]:
        """All the rest, as JSON types."""
        return {
            "images_seen": self.images_seen,
            "num_summed": self.num_summed,
            "num_penalties": self.num_penalties,
            "history": self.history,
            "best": self.best,
        }

    def restore(self, tensors: dict[str, Tensor], facts: dict[str, Any]) -> None:
        """Take over what `tensors` and `facts` gave."""
        device = self.sums.device
        self.sums = tensors["sums"].to(device)
        for prefix, module in self._modules().items():
            module.load_state_dict(_below(tensors, prefix))
        for prefix, optimiser in self._optimisers().items():
            _restore_optimiser(optimiser, _below(tensors, prefix))
        self.best_weights = _below(tensors, "best")
        self.images_seen = facts["images_seen"]
        self.num_summed = facts["num_summed"]
        self.num_penalties = facts["num_penalties"]
        self.history = facts["history"]
        self.best = facts["best"]

    def add(self, statistics: Tensor, *, with_penalty: bool) -> None:
        """Count the statistics of one step; nothing is read from the device."""
        self.sums += statistics
        self.num_summed += 1
        self.num_penalties += with_penalty

    def pop_means(self) -> dict[str, float]:
        """Means since the last call, by name; penalties over the steps that took them."""
        sums = self.sums.tolist()
        means = {
            name: total / max(1, self.num_penalties if _is_penalty(name) else self.num_summed)
            for name, total in zip(STATISTICS, sums, strict=True)
            if self.num_penalties or not _is_penalty(name)
        }
        self.sums = torch.zeros_like(self.sums)
        self.num_summed = self.num_penalties = 0
        return means

    def _modules(self) -> dict[str, nn.Module]:
        return {"G": self.networks.G, "D": self.networks.D, "G_ema": self.G_ema}

    def _optimisers(self) -> dict[str, torch.optim.Optimizer]:
        return {
            "G_optimiser": self.networks.G_optimiser,
            "D_optimiser": self.networks.D_optimiser,
        }


def _restore_optimiser(optimiser: torch.optim.Optimizer, flat: dict[str, Tensor]) -> None:
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


def _is_penalty(name: str) -> bool:
    return name.startswith("penalty/")


def _below(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    start = f"{prefix}/"
    return {k.removeprefix(start): v for k, v in tensors.items() if k.startswith(start)}
