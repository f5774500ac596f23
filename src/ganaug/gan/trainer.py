"""The training loop: step, log, evaluate, save, until the budget of images is spent."""

import math
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ganaug.config import TrainParams
from ganaug.errors import TrainingError
from ganaug.gan.architecture import Architecture, build_discriminator, build_generator
from ganaug.gan.batches import RealBatches
from ganaug.gan.checkpoints import Checkpoints
from ganaug.gan.compute import Compute
from ganaug.gan.ema import make_average, update_ema
from ganaug.gan.interrupts import StopRequest, stop_requests, stopped
from ganaug.gan.losses import LOSSES
from ganaug.gan.sampling import sample
from ganaug.gan.schedules import cosine, ema_decay
from ganaug.gan.snapshot import copy_weights
from ganaug.gan.state import TrainingState
from ganaug.gan.step import STATISTICS, Networks, StepRecipe, train_step
from ganaug.progress import ProgressReport
from ganaug.rng import derive_seed, torch_generator

LOG_LINES = 200  # of a whole run
SAVE_SEC = 20.0  # between checkpoints: what a SIGKILL can cost; saved at evaluations as well
EVALUATION_SAMPLES = 400  # of all classes together
FITTED_IMAGES = 4096  # that the networks look at before training
BETAS = (0.0, 0.99)  # Adam's, as in StyleGAN2 and R3GAN: no momentum against a moving opponent

# Images [N, H, W, C] uint8 and labels [N] to metrics; "kid" is the one that chooses the snapshot.
Evaluate = Callable[[NDArray[np.uint8], NDArray[np.int64]], dict[str, float]]


class Observer(Protocol):
    """Told what happens, say to log it."""

    def metrics(self, images_seen: int, values: dict[str, float]) -> None:
        """New values; on resuming, all earlier ones come again first."""

    def samples(self, images: NDArray[np.uint8], labels: NDArray[np.int64]) -> None:
        """Images [N, H, W, C] of the current averaged generator."""


@dataclass(frozen=True)
class TrainingResult:
    """The best snapshot: weights of the averaged generator, and what was measured then."""

    weights: dict[str, Tensor]
    best: dict[str, float]
    resumed_from: int


class Trainer:
    """One training run.

    Args:
        batches: real images.
        architecture: of both networks.
        flips: those of `augment.OPERATIONS` that keep this dataset's labels.
        params: the section `train`.
        seed: of the whole run.
        compute: device and precision.
        evaluate: measures samples on val.
        observer: told what happens.
        checkpoints: where the state is saved.
    """

    def __init__(
        self,
        *,
        batches: RealBatches,
        architecture: Architecture,
        flips: Sequence[str],
        params: TrainParams,
        seed: int,
        compute: Compute,
        evaluate: Evaluate,
        observer: Observer,
        checkpoints: Checkpoints,
    ) -> None:
        self._batches = batches
        self._architecture = architecture
        self._params = params
        self._seed = seed
        self._compute = compute
        self._evaluate = evaluate
        self._observer = observer
        self._checkpoints = checkpoints
        self._recipe = make_recipe(params, flips)
        self._num_steps = math.ceil(params.kimg * 1000 / params.batch_size)
        self._log_interval = max(1, self._num_steps // LOG_LINES)
        parts = range(1, params.num_evaluations + 1)
        self._evaluation_steps = {round(self._num_steps * i / len(parts)) for i in parts}
        self._state = make_state(architecture, params, batches, seed=seed, device=compute.device)

    def run(self) -> TrainingResult:
        """Train to the end of the budget, from the newest checkpoint if there is one.

        Raises:
            TrainingError: another process trains the same run, or a loss is no longer finite.
            StoppedBySignal: asked to stop; the state is saved.
        """
        with self._checkpoints.locked(), stop_requests() as stop:
            resumed_from = self._resume()
            self._loop(stop)
        assert self._state.best is not None
        return TrainingResult(self._state.best_weights, self._state.best, resumed_from)

    def _loop(self, stop: StopRequest) -> None:
        state, batch_size = self._state, self._params.batch_size
        budget = self._num_steps * batch_size
        next_save = time.monotonic() + SAVE_SEC
        title = f"train on {self._compute.describe()}"
        with ProgressReport(title, total=budget, start=state.images_seen) as progress:
            while state.images_seen < budget:
                self._step()
                progress.advance(batch_size)
                if self._step_number % self._log_interval == 0:
                    self._log(state.pop_means())
                due = time.monotonic() >= next_save
                if self._step_number in self._evaluation_steps:
                    progress.note(self._evaluate_and_keep_best())
                    due = True
                signum = stop.pending()
                if signum is not None or due:
                    self._save()
                    next_save = time.monotonic() + SAVE_SEC
                if signum is not None:
                    raise stopped(signum, images_seen=state.images_seen)

    @property
    def _step_number(self) -> int:
        return self._state.images_seen // self._params.batch_size

    def _step(self) -> None:
        state, params, device = self._state, self._params, self._compute.device
        step = self._step_number
        end = params.lr * params.lr_final_fraction
        lr = cosine(step / self._num_steps, start=params.lr, end=end)
        for optimiser in (state.networks.G_optimiser, state.networks.D_optimiser):
            optimiser.param_groups[0]["lr"] = lr
        real, label = self._batches.draw(step)
        generator = torch_generator(self._seed, "train", "step", step, device=device)
        z = torch.randn(len(label), params.z_dim, device=device, generator=generator)
        with_penalty = step % params.penalty_interval == 0
        statistics = train_step(
            state.networks,
            real=real,
            label=label,
            z=z,
            with_penalty=with_penalty,
            recipe=self._recipe,
            compute=self._compute,
            generator=generator,
        )
        state.add(statistics, with_penalty=with_penalty)
        state.images_seen += params.batch_size
        decay = ema_decay(
            state.images_seen, batch_size=params.batch_size, half_life_kimg=params.ema_kimg
        )
        update_ema(state.G_ema, state.networks.G, decay=decay)

    def _log(self, values: dict[str, float]) -> None:
        if not all(math.isfinite(value) for value in values.values()):
            raise TrainingError(
                f"a loss is not finite after {self._state.images_seen} images; "
                "lower train.lr, or raise train.r1_gamma and train.r2_gamma"
            )
        self._state.history.append({"images_seen": self._state.images_seen, **values})
        self._observer.metrics(self._state.images_seen, values)

    def _evaluate_and_keep_best(self) -> str:
        """Measure fixed samples, keep the weights if they are the best; one line about it."""
        state = self._state
        num_classes = self._architecture.num_classes
        per_class = -(-EVALUATION_SAMPLES // num_classes)
        labels = np.repeat(np.arange(num_classes), per_class)
        seeds = np.tile(np.arange(per_class), num_classes)
        images = sample(
            state.G_ema, labels.tolist(), seeds.tolist(), z_dim=self._architecture.z_dim
        )
        values = self._evaluate(images, labels)
        self._log({f"val/{name}": value for name, value in values.items()})
        self._observer.samples(images, labels)
        is_best = state.best is None or values["kid"] < state.best["kid"]
        if is_best:
            state.best = {"images_seen": state.images_seen, **values}
            state.best_weights = copy_weights(state.G_ema)
        return f"val KID {values['kid']:.4f}{', the best so far' if is_best else ''}"

    def _save(self) -> None:
        state = self._state
        self._checkpoints.save(state.tensors(), state.facts(), images_seen=state.images_seen)

    def _resume(self) -> int:
        """Take over the newest checkpoint; images seen by then, 0 for a fresh start."""
        found = self._checkpoints.load()
        if found is None:
            return 0
        self._state.restore(*found)
        for row in self._state.history:
            values = {name: value for name, value in row.items() if name != "images_seen"}
            self._observer.metrics(int(row["images_seen"]), values)
        seen = self._state.images_seen
        print(f"train: resumed from {seen} images ({self._checkpoints.folder})", file=sys.stderr)
        return seen


def make_recipe(params: TrainParams, flips: Sequence[str]) -> StepRecipe:
    """The section `train` as the plain values that an update needs."""
    return StepRecipe(
        loss=LOSSES[params.loss],
        operations=(*flips, *params.augment),
        augment_probability=params.augment_probability,
        r1_gamma=params.r1_gamma,
        r2_gamma=params.r2_gamma,
        penalty_interval=params.penalty_interval,
    )


def make_state(
    architecture: Architecture,
    params: TrainParams,
    batches: RealBatches,
    *,
    seed: int,
    device: torch.device,
) -> TrainingState:
    """Fresh networks, optimisers and counters, a function of the seed and the images."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive_seed(seed, "train", "weights"))
        G = build_generator(architecture)
        D = build_discriminator(architecture)
    for network in (G, D):
        network.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        network.fit(batches.look(FITTED_IMAGES))
    networks = Networks(G, D, _adam(G, params.lr), _adam(D, params.lr))
    sums = torch.zeros(len(STATISTICS), device=device)
    return TrainingState(networks=networks, G_ema=make_average(G), sums=sums)


def _adam(network: nn.Module, lr: float) -> torch.optim.Optimizer:
    return torch.optim.Adam(network.parameters(), lr=lr, betas=BETAS, fused=True)
