"""How fast this machine is: a little of each costly stage, really run, in some seconds.

Times are those of an idle machine, so that an estimate does not depend on what else runs just now.
"""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from statistics import fmean
from typing import Any

import joblib
import numpy as np
import psutil
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from ganaug.budget import peak_memory_mib
from ganaug.config import Params
from ganaug.curating.curate import encode_pngs
from ganaug.curating.filter import MIN_IMAGES, SyntheticFilter
from ganaug.downstream.batches import Pool, draw_batches, one_hot
from ganaug.downstream.classical import ClassicalAugmentation
from ganaug.downstream.classifier import predict, train_classifier
from ganaug.downstream.linear import FEATURE_RESOLUTION, NUM_COMPONENTS, VIEWS, fit_linear
from ganaug.downstream.recipes import TEACHER
from ganaug.downstream.runs import NETWORKS, one_thread
from ganaug.gan.architecture import resolve_architecture
from ganaug.gan.batches import RealBatches
from ganaug.gan.compute import Compute, choose_compute
from ganaug.gan.sampling import sample
from ganaug.gan.schedules import penalty_scale, update_ema
from ganaug.gan.state import TrainingState
from ganaug.gan.step import Step
from ganaug.gan.trainer import make_objective, make_state
from ganaug.images import Pixels
from ganaug.parallel import map_unordered
from ganaug.quality.features import RESOLUTION, ImageNetFeatures
from ganaug.quality.parts import LabelledImages

LOOKED_AT = 64  # images
FEW_STEPS = 10


@dataclass(frozen=True)
class Speeds:
    """What the probe measured: seconds, unless another unit is named.

    Args:
        step: a training step, mean over those with and without penalties.
        setup: from images to the first step.
        flop, kernels: number of a step.
        draw: to make and score a synthetic image.
        filter_step: of one of the filter's two classifiers.
        features: of an image, by the side it is resized to.
        view: classical augmentation of an image.
        fit: of a classifier, a step at one thread; of the linear one a row of its views.
        score: one image by a classifier.
        workers: processes that train classifiers side by side.
        mib: peak memory by stage, and of a worker.
        generator_bytes, state_bytes: size of G, and of a training state.
    """

    step: float
    setup: float
    flop: float
    kernels: float
    draw: float
    filter_step: float
    features: Mapping[int, float]
    view: float
    fit: Mapping[str, float]
    score: Mapping[str, float]
    workers: int
    mib: Mapping[str, float]
    generator_bytes: int
    state_bytes: int


def timed(work: Callable[[], object]) -> float:
    """Seconds that it takes if nothing else runs: what waiting for a core adds is left out."""
    wall, core = time.perf_counter(), time.process_time()
    work()
    return min(time.perf_counter() - wall, time.process_time() - core)


def probe(
    p: Params, classes: Sequence[str], *, num_images: int, num_workers: int | None = None
) -> Speeds:
    """Run a little of each costly stage on random images, from the smallest memory to the largest.

    Args:
        p: its networks, sizes of batches and of images are used.
        classes: their names.
        num_images: of the train split.
        num_workers: processes that train classifiers; None takes as many as `evaluate`.
    Raises:
        TrainingError: `train.device` is not there.
    """
    workers = num_workers or joblib.cpu_count()
    num = max(2 * MIN_IMAGES * len(classes), min(num_images, 512))
    shape = (num, p.prepare.resolution, p.prepare.resolution, p.prepare.channels)
    pixels = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    data = LabelledImages(pixels, np.arange(num) % len(classes))
    light = peak_memory_mib() / 2  # the other half is torch
    draw, filter_step = _measure_filter(p, data, classes)
    mib = {"light": light, "generate": peak_memory_mib()}
    sides = (RESOLUTION, FEATURE_RESOLUTION)[: 1 + ("linear" in p.evaluate.networks)]
    features = {side: _feature_sec(pixels[:LOOKED_AT], side) for side in sides}
    augment = ClassicalAugmentation((), p.evaluate.classical, seed=0)
    view = timed(lambda: augment(pixels[:LOOKED_AT])) / min(LOOKED_AT, num)
    nets = sorted({"cnn", *p.evaluate.networks})
    tasks = map_unordered(partial(_fit_some, p, data, nets), range(workers), num_workers=workers)
    fits, scores, peaks = zip(*tasks, strict=True)
    mib |= {"evaluate": peak_memory_mib(), "worker": max(peaks)}

    compute = choose_compute(device=p.train.device, precision=p.train.precision)
    setup = timed(lambda: _training(p, data, compute)) * max(1.0, num_images / num)
    state, batches = _training(p, data, compute)
    step, flop, kernels = _measure_steps(p, state, batches, compute)
    networks = state.networks
    sizes = [sum(t.nbytes for t in net.state_dict().values()) for net in (networks.G, networks.D)]
    return Speeds(
        step=step,
        setup=setup,
        flop=flop,
        kernels=kernels,
        draw=draw,
        filter_step=filter_step,
        features=features,
        view=view,
        fit={net: fmean(fit[net] for fit in fits) for net in nets},
        score={net: fmean(score[net] for score in scores) for net in nets},
        workers=workers,
        mib=mib | {"train": peak_memory_mib()},
        generator_bytes=sizes[0],
        state_bytes=3 * sum(sizes) + sizes[0],
    )


def _measure_filter(p: Params, data: LabelledImages, classes: Sequence[str]) -> tuple[float, float]:
    """Seconds of a synthetic image, made and scored, and of a step of one of the classifiers."""
    learn = partial(
        SyntheticFilter,
        data.images,
        data.labels,
        [str(i // len(classes) // 4) for i in range(len(data.labels))],
        class_names=classes,
        symmetries=(),
        classical=p.evaluate.classical,
        seed=0,
    )
    judge = learn(num_steps=1)
    step = timed(lambda: learn(num_steps=FEW_STEPS)) / (2 * FEW_STEPS)
    state, _ = _training(p, data, choose_compute(device="cpu"))
    sample(state.G_ema, [0], [0])
    seeds = list(range(LOOKED_AT))
    draw = timed(lambda: encode_pngs(sample(state.G_ema, [0] * LOOKED_AT, seeds)))
    draw += timed(lambda: judge.score(data.images[:LOOKED_AT], data.labels[:LOOKED_AT]))
    return draw / LOOKED_AT, step


def _feature_sec(images: Pixels, side: int) -> float:
    """Of an image."""
    extract = ImageNetFeatures(resolution=side)
    extract(images)
    return min(timed(partial(extract, images)) for _ in range(2)) / len(images)


def _training(
    p: Params, data: LabelledImages, compute: Compute
) -> tuple[TrainingState, RealBatches]:
    """What the first step of training starts from."""
    architecture = resolve_architecture(
        family=p.train.family,
        size=p.train.size,
        z_dim=p.train.z_dim,
        resolution=p.prepare.resolution,
        channels=p.prepare.channels,
        num_classes=int(data.labels.max()) + 1,
    )
    batches = RealBatches(
        data.images,
        data.labels,
        batch_size=p.train.batch_size,
        class_exponent=p.train.class_exponent,
        flips=(),
        seed=0,
        device=compute.device,
    )
    return make_state(architecture, p.train, batches, seed=0, device=compute.device), batches


def _measure_steps(
    p: Params, state: TrainingState, batches: RealBatches, compute: Compute
) -> tuple[float, float, float]:
    """Seconds, FLOP and kernels of a step: the mean over those with and without penalties and G."""
    params, interval, every = p.train, p.train.penalty_interval, p.train.d_steps_per_g_step
    networks, objective = state.networks, make_objective(params)
    generator = torch.Generator(compute.device).manual_seed(0)

    def step(number: int) -> None:
        real, label = batches.draw(number)
        z = torch.randn(len(label), networks.G.latent_dim, device=compute.device)
        scale, with_g = penalty_scale(number, interval=interval), (number + 1) % every == 0
        Step(networks, objective, compute, generator, scale, with_g, 1.0).take(real, label, z)
        update_ema(state.G_ema, networks.G, decay=0.9)
        if compute.device.type == "cuda":
            torch.cuda.synchronize()

    period = range(math.lcm(interval, every))
    kinds = [(number % interval == 0, (number + 1) % every == 0) for number in period]
    found = {}
    for kind in set(kinds):
        one = partial(step, kinds.index(kind))
        flop, operations = FlopCounterMode(display=False), _Operations()
        flop.mod_tracker = _NoModules()  # type: ignore[assignment]
        with flop, operations:  # this warms up as well
            one()
        seconds = [timed(one)]
        while len(seconds) < 3 or (sum(seconds) < 0.7 and len(seconds) < 8):
            seconds.append(timed(one))
        found[kind] = np.array([min(seconds), flop.get_total_flops(), operations.number])
    means = np.mean([found[kind] for kind in kinds], axis=0)
    return float(means[0]), float(means[1]), float(means[2])


class _Operations(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts operations, as torch hands them to the device."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.number = 0

    def __torch_dispatch__(
        self, operation: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        self.number += 1
        return operation(*args, **(kwargs or {}))


class _NoModules(nullcontext[None]):
    """What asks no module: the hooks for that refuse the double backward of penalties."""

    parents = frozenset({"Global"})


def _fit_some(
    p: Params, data: LabelledImages, nets: Sequence[str], _worker: int
) -> tuple[dict[str, float], dict[str, float], float]:
    """In a worker: seconds of a step and of scoring one image, by network; memory in MiB."""
    fit, score = {}, {}
    with one_thread():
        for net in nets:
            in_steps = NETWORKS[net].in_steps
            fit[net], score[net] = _fit_network(p, data, net) if in_steps else _fit_linear(data)
    # Not the peak: a process starts with that of the one which forked it.
    return fit, score, psutil.Process().memory_info().rss / 2**20


def _fit_linear(data: LabelledImages) -> tuple[float, float]:
    """Seconds of a row of views that overlap as classes do; scoring them costs nothing."""
    rng, num_classes = np.random.default_rng(0), int(data.labels.max()) + 1
    shape = (len(data.labels), VIEWS["train"], NUM_COMPONENTS)
    centres = rng.normal(size=(num_classes, 1, NUM_COMPONENTS))
    views = (centres[data.labels] + 2 * rng.normal(size=shape)) / NUM_COMPONENTS**0.5
    own = LabelledImages(views.astype(np.float32), data.labels)
    rows = np.arange(len(data.labels))
    sets = {"train": own, "val": own}
    fit = partial(fit_linear, sets, rows, rows, recipe=TEACHER, num_classes=num_classes)
    return timed(fit) / (shape[0] * shape[1]), 0.0


def _fit_network(p: Params, data: LabelledImages, net: str) -> tuple[float, float]:
    """Seconds of a step, and of scoring an image."""
    make, e, num_classes = NETWORKS[net].make, p.evaluate, int(data.labels.max()) + 1
    assert make is not None
    rows = np.arange(len(data.labels))
    pool = Pool(data.images, data.labels, one_hot(data.labels, num_classes), rows)

    def train(num_steps: int) -> nn.Module:
        how = {"batch_size": e.batch_size, "num_steps": num_steps}
        return train_classifier(
            draw_batches(pool, None, recipe=TEACHER, seed=0, **how),
            network=make,
            num_steps=num_steps,
            lr=e.lr,
            seed=0,
            augment=ClassicalAugmentation((), e.classical, seed=0),
        )

    model = train(2)  # warms up
    more = 25 if net == "cnn" else 4
    start = timed(lambda: train(1))
    step = max(1e-4, (timed(lambda: train(1 + more)) - start) / more)
    images = data.images[:128]
    return step, timed(lambda: predict(model, images)) / len(images)
