"""The training loop: step, log, evaluate, save, until the budget of images is spent."""

import copy
import math
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from ganaug.config import TrainParams
from ganaug.errors import StoppedBySignal, TrainingError
from ganaug.gan.anchors import Anchors
from ganaug.gan.architecture import FAMILIES, build_companion, build_generator
from ganaug.gan.batches import RealBatches
from ganaug.gan.checkpoints import Checkpoints
from ganaug.gan.compute import Compute
from ganaug.gan.elbo import VaeStep
from ganaug.gan.guards import collapsed_classes, lost_ground, not_finite
from ganaug.gan.interrupts import StopRequest
from ganaug.gan.losses import LOSSES
from ganaug.gan.networks import Architecture
from ganaug.gan.sampling import sample
from ganaug.gan.schedules import cosine, ema_decay, fading, penalty_scale, update_ema
from ganaug.gan.state import TrainingState, below
from ganaug.gan.step import Networks, Objective, Step
from ganaug.gan.translation import TranslationStep
from ganaug.images import Labels, Pixels
from ganaug.progress import ProgressReport
from ganaug.rng import derive_seed, torch_generator

LOG_LINES = 200  # of a whole run
SAVE_SEC = 20.0  # between checkpoints: the most a SIGKILL can lose; also saved at evaluations
EVALUATION_SAMPLES = 400  # of all classes together
ANCHORED_IMAGES = 2000  # per class, that the anchors measure
RECONSTRUCTION_UNTIL = 0.5  # share of the budget; kept longer, it works against D
MAX_ROLLBACKS = 3
LOWER = "lower train.lr, or raise train.r1_gamma and train.r2_gamma"
ROLLBACK_LR = 0.5  # factor on the learning rate at each rollback
STEPS: dict[str, type[Step]] = {"vae": VaeStep, "translator": TranslationStep}
AGREE_STEPS = 10  # steps between two exchanges among processes about stopping

# Images [N, H, W, C] uint8 and labels [N] to metrics; "kid" chooses the snapshot.
Evaluate = Callable[[Pixels, Labels], dict[str, float]]


class Observer(Protocol):
    """Receives metrics and samples, say to log them."""

    def metrics(self, images_seen: int, values: dict[str, float]) -> None:
        """New values; a resumed run first repeats all earlier ones."""

    def samples(self, images: Pixels, labels: Labels) -> None:
        """Images [N, H, W, C] of the current averaged generator; at the end, of the best one."""


@dataclass(frozen=True)
class TrainingResult:
    """The best snapshot: weights of the averaged generator, and its metrics."""

    weights: dict[str, Tensor]  # state dict, on the CPU
    best: dict[str, float]  # "kid", "images_seen" and the other metrics of that evaluation
    images_seen: int  # at the end; less than the budget when the run converged before


@dataclass(kw_only=True, eq=False)
class Trainer:
    """One training run; only the first of several processes evaluates and observes."""

    batches: RealBatches
    architecture: Architecture
    params: TrainParams
    seed: int
    compute: Compute
    evaluate: Evaluate | None
    observer: Observer | None
    checkpoints: Checkpoints
    initial: dict[str, Tensor] | None = None  # weights that G starts from, in place of fresh ones

    def __post_init__(self) -> None:
        params = self.params
        self._num_steps = math.ceil(params.kimg * 1000 / params.batch_size)
        self._budget = self._num_steps * params.batch_size
        self._log_interval = max(1, self._num_steps // LOG_LINES)
        self._objective = make_objective(params)
        parts = range(1, params.num_evaluations + 1)
        self._evaluation_steps = {round(self._num_steps * i / len(parts)) for i in parts}
        self._state = make_state(
            self.architecture,
            params,
            self.batches,
            seed=self.seed,
            device=self.compute.device,
            initial=self.initial,
        )

    def run(self) -> TrainingResult | None:
        """Train from the newest checkpoint to the end of the budget or to convergence.

        Returns:
            The best snapshot; None in processes other than the first.
        Raises:
            TrainingError: training diverged repeatedly.
            StoppedBySignal: a signal stopped it; the state is saved.
        """
        with StopRequest() as stop:
            self._resume()
            signum = self._loop(stop)
        if not self._leads:
            return None
        seen = self._state.images_seen
        if signum:
            name = signal.Signals(signum).name
            saved = f"{name} after {seen} images; saved; run the same command to resume"
            raise StoppedBySignal(signum, saved)
        if self._state.best is None:
            raise TrainingError(f"training diverged before its first evaluation; {LOWER}")
        tensors, _ = self.checkpoints.load_best()
        weights = below(tensors, "G_ema")
        self._state.G_ema.load_state_dict(weights)
        self._show_samples()  # of the best snapshot, over those of the last evaluation
        return TrainingResult(weights, self._state.best, seen)

    @property
    def _leads(self) -> bool:
        return self.compute.rank == 0

    @property
    def _step_number(self) -> int:
        return self._state.images_seen // self.params.batch_size

    def _loop(self, stop: StopRequest) -> int:
        """Take all steps; return the signal that stopped them early, or 0."""
        state, batch_size = self._state, self.params.batch_size
        next_save = time.monotonic() + SAVE_SEC
        with ProgressReport(
            f"train on {self.compute.describe()}",
            total=self._budget,
            start=state.images_seen,
            quiet=not self._leads,
        ) as progress:
            while state.images_seen < self._budget and not self._has_converged():
                self._step()
                progress.advance(batch_size)
                evaluates = self._step_number in self._evaluation_steps
                diverged = ""
                if evaluates or self._step_number % self._log_interval == 0:
                    diverged = self._log_means()
                if evaluates and not diverged:
                    message, diverged = self._evaluate_and_keep_best()
                    progress.note(message)
                if diverged:
                    progress.note(self._roll_back(diverged))
                signum = self._agreed(stop)
                if signum or evaluates or time.monotonic() >= next_save:
                    self._save()
                    next_save = time.monotonic() + SAVE_SEC
                if signum:
                    return signum
        return 0

    def _step(self) -> None:
        state, params, compute = self._state, self.params, self.compute
        step = self._step_number
        end = params.lr * params.lr_final_fraction
        progress = step / self._num_steps
        lr = ROLLBACK_LR**state.num_rollbacks * cosine(progress, start=params.lr, end=end)
        state.networks.D_optimiser.param_groups[0]["lr"] = lr
        state.networks.G_optimiser.param_groups[0]["lr"] = lr * params.generator_lr_ratio
        real, label = self.batches.draw(step)
        device = compute.device
        latent = torch_generator(self.seed, "train", "latent", step, device=device)
        z = torch.randn(len(label), state.networks.G.latent_dim, device=device, generator=latent)
        weight = fading(progress, start=params.reconstruction_weight, until=RECONSTRUCTION_UNTIL)
        update = STEPS.get(self.architecture.family, Step)(
            state.networks,
            self._objective,
            compute,
            torch_generator(self.seed, "train", "step", step, compute.rank, device=device),
            penalty_scale=penalty_scale(step, interval=params.penalty_interval),
            updates_generator=(step + 1) % params.d_steps_per_g_step == 0,
            reconstruction_weight=weight,
        )
        state.add(update.take(compute.share(real), compute.share(label), compute.share(z)))
        state.images_seen += params.batch_size
        seen, half_life = state.images_seen, params.ema_kimg
        decay = ema_decay(seen, batch_size=params.batch_size, half_life_kimg=half_life)
        update_ema(state.G_ema, state.networks.G, decay=decay)

    def _log_means(self) -> str:
        """Log the means; return the reason if they show divergence, else nothing."""
        values = self._state.pop_means()
        reason = self.compute.agree(not_finite(values))
        if not reason:
            self._log(values)
        return reason

    def _log(self, values: dict[str, float]) -> None:
        self._state.history.append({"images_seen": self._state.images_seen, **values})
        if self.observer is not None:
            self.observer.metrics(self._state.images_seen, values)

    def _evaluate_and_keep_best(self) -> tuple[str, str]:
        """Measure fixed samples, keep the state if it is the best.

        Returns:
            One line about it, and the reason if it shows divergence.
        """
        state = self._state
        measured = self.evaluate(*self._show_samples()) if self.evaluate else {}
        values = self.compute.agree(measured)
        self._log({f"val/{name}": value for name, value in values.items()})
        kid = values["kid"]
        message = f"val KID {kid:.4f}"
        if collapsed := collapsed_classes(values):
            message += f", collapsed: {', '.join(collapsed)}"
        if state.best is None or kid < state.best["kid"]:
            state.best = {"images_seen": state.images_seen, **values}
            self._keep_as_best()
            return f"{message}, the best so far", ""
        first = next(row["val/kid"] for row in state.history if "val/kid" in row)
        noise = values.get("kid_std", 0.0)
        return message, lost_ground(kid, first=first, best=state.best["kid"], noise=noise)

    def _show_samples(self) -> tuple[Pixels, Labels]:
        """Images of the averaged generator, the same latents each time, and their labels."""
        num_classes = self.architecture.num_classes
        per_class = -(-EVALUATION_SAMPLES // num_classes)
        labels = np.repeat(np.arange(num_classes), per_class)
        seeds = np.tile(np.arange(per_class), num_classes)
        images = sample(self._state.G_ema, labels.tolist(), seeds.tolist())
        if self.observer is not None:
            self.observer.samples(images, labels)
        return images, labels

    def _has_converged(self) -> bool:
        """Whether the best snapshot is older than the share `patience` of the budget."""
        best, seen = self._state.best, self._state.images_seen
        return (
            best is not None and seen - best["images_seen"] >= self.params.patience * self._budget
        )

    def _roll_back(self, reason: str) -> str:
        """Return to the best weights at a lower learning rate, without resetting the clock."""
        state = self._state
        state.num_rollbacks += 1
        where = f"after {state.images_seen} images"
        if state.num_rollbacks > MAX_ROLLBACKS:
            raise TrainingError(
                f"training diverged for the {state.num_rollbacks}th time {where} ({reason}); "
                f"{LOWER}"
            )
        tensors, _ = self.compute.agree(self.checkpoints.load_best() if self._leads else ({}, {}))
        state.restore_weights(tensors)
        best = "the start" if state.best is None else f"{state.best['images_seen']:.0f} images"
        scale = ROLLBACK_LR**state.num_rollbacks
        return f"{reason} {where}; back to {best}, learning rate x {scale:g}"

    def _agreed(self, stop: StopRequest) -> int:
        """The signal that any process got, or 0; processes exchange it now and then."""
        if self.compute.world_size > 1 and self._step_number % AGREE_STEPS:
            return 0
        return self.compute.maximum(stop.pending() or 0)

    def _keep_as_best(self) -> None:
        if self._leads:
            self.checkpoints.save_best(self._state.tensors(), self._state.facts())

    def _save(self) -> None:
        state = self._state
        if self._leads:
            self.checkpoints.save(state.tensors(), state.facts(), images_seen=state.images_seen)

    def _resume(self) -> None:
        """Restore the newest checkpoint, if there is one."""
        found = self.compute.agree(self.checkpoints.load() if self._leads else None)
        if found is None:
            self._keep_as_best()  # what a rollback before the first evaluation returns to
            return
        self._state.restore(*found)
        if self.observer is not None:
            for row in self._state.history:
                values = {name: value for name, value in row.items() if name != "images_seen"}
                self.observer.metrics(int(row["images_seen"]), values)
            seen, where = self._state.images_seen, self.checkpoints.folder
            print(f"train: resumed from {seen} images ({where})", file=sys.stderr)


def make_objective(params: TrainParams) -> Objective:
    """Loss, penalties and augmentation from params."""
    numbers = {"r1_gamma", "r2_gamma", "gradient_penalty", "augment_probability"}
    stated = params.model_dump(include=numbers)
    return Objective(loss=LOSSES[params.loss], operations=params.augment, **stated)


def make_state(
    architecture: Architecture,
    params: TrainParams,
    batches: RealBatches,
    *,
    seed: int,
    device: torch.device,
    initial: dict[str, Tensor] | None = None,
) -> TrainingState:
    """The initial networks, optimisers and counters, a function of seed and images."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive_seed(seed, "train", "weights"))
        G = build_generator(architecture)
        D = build_companion(architecture)
    for network in (G, D):
        network.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    if initial is not None:
        G.load_state_dict(initial)
    G.prepare_from(batches, is_trained=initial is not None)
    D.prepare_from(batches)
    anchors = Anchors(architecture).to(device)
    anchors.fit(batches.look(ANCHORED_IMAGES), flips=batches.flips)
    betas = FAMILIES[architecture.family].betas
    G_optimiser, D_optimiser = (
        torch.optim.Adam(network.parameters(), lr=lr, betas=betas, fused=True)
        for network, lr in ((G, params.lr * params.generator_lr_ratio), (D, params.lr))
    )
    networks = Networks(G, D, G_optimiser, D_optimiser, anchors)
    return TrainingState(networks=networks, G_ema=copy.deepcopy(G).eval().requires_grad_(False))
