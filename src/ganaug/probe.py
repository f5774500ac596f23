"""How fast this machine is: a little of each costly part, really run, in some seconds.

Times are taken at one thread, where what else runs adds little to them: several threads wait for
each other on a busy machine. What more threads would save is a rule of thumb.
"""

import math
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from statistics import fmean, median

import joblib
import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from ganaug.budget import peak_memory_mib
from ganaug.config import Params
from ganaug.curating.curate import encode_pngs
from ganaug.downstream.batches import Pool, draw_batches, one_hot
from ganaug.downstream.classical import ClassicalAugmentation
from ganaug.downstream.classifier import train_classifier
from ganaug.downstream.linear import NUM_COMPONENTS, VIEWS, fit_linear
from ganaug.downstream.recipes import TEACHER
from ganaug.downstream.runs import NETWORKS
from ganaug.gan.architecture import resolve_architecture
from ganaug.gan.batches import RealBatches
from ganaug.gan.compute import Compute, choose_compute
from ganaug.gan.sampling import sample
from ganaug.gan.schedules import update_ema
from ganaug.gan.state import TrainingState
from ganaug.gan.step import Step
from ganaug.gan.trainer import STEPS, make_objective, make_state
from ganaug.parallel import map_unordered, one_thread
from ganaug.quality.features import ImageNetFeatures
from ganaug.quality.parts import LabelledImages

NUM_IMAGES = 512  # random ones, that classifiers train on
LOOKED_AT = 64  # of them, or of synthetic images
SCALING = 0.5  # with its number to this power, threads make the GAN faster: 1.4 times with two


@dataclass(frozen=True)
class Speeds:
    """What the probe measured: seconds, unless another unit is named.

    Args:
        shown: to train the GAN on a real image, mean over steps with and without penalties and G.
        flop: number for that in a step without penalties.
        draw: to make a synthetic image.
        features: ImageNet features of an image.
        fit: by network, to train a classifier on an image in one batch, at one thread; the linear
            one on a view, until it has converged.
        workers: processes that train classifiers side by side.
        mib: peak memory with a GAN ("train") and without one ("evaluate").
        state_bytes: size of a training state.
    """

    shown: float
    flop: float
    draw: float
    features: float
    fit: Mapping[str, float]
    workers: int
    mib: Mapping[str, float]
    state_bytes: int


def timed(work: Callable[[], object]) -> float:
    """Seconds that it takes; at one thread, what waiting for a core adds is left out."""
    wall, core = time.perf_counter(), time.process_time()
    work()
    return min(time.perf_counter() - wall, time.process_time() - core)


def usual(work: Callable[[], object]) -> float:
    """Median seconds of three runs, after one that warms up."""
    work()
    return median(timed(work) for _ in range(3))


def probe(p: Params, num_classes: int) -> Speeds:
    """Run a little of each costly part on random images.

    Args:
        p: its networks, sizes of batches and of images are used.
        num_classes: K.
    Raises:
        TrainingError: `train.device` is not there.
    """
    num = max(NUM_IMAGES, 2 * num_classes)
    shape = (num, p.prepare.resolution, p.prepare.resolution, p.prepare.channels)
    pixels = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    data = LabelledImages(pixels, np.arange(num) % num_classes)
    faster = torch.get_num_threads() ** SCALING
    workers, nets = joblib.cpu_count(), sorted({"cnn", *p.evaluate.networks})
    compute = choose_compute(device=p.train.device, precision=p.train.precision)
    with one_thread():
        features = usual(partial(ImageNetFeatures(), pixels[:LOOKED_AT])) / LOOKED_AT
        fit = partial(_fit_each, p, data, nets)
        fits = list(map_unordered(fit, range(workers), num_workers=workers))
        mib = {"evaluate": peak_memory_mib()}
        state, batches = _start_training(p, data, compute)
        shown, flop = _measure_steps(p, state, batches, compute)
        mib["train"] = peak_memory_mib()
        G, chosen = state.G_ema.cpu(), [0] * LOOKED_AT  # as in `generate`
        draw = usual(lambda: encode_pngs(sample(G, chosen, range(LOOKED_AT)))) / LOOKED_AT
    return Speeds(
        shown=shown / (faster if compute.device.type == "cpu" else 1),
        flop=flop,
        draw=draw / faster,
        features=features / faster,
        fit={net: fmean(own[net] for own in fits) for net in nets},
        workers=workers,
        mib=mib,
        state_bytes=sum(tensor.nbytes for tensor in state.tensors().values()),
    )


def _start_training(
    p: Params, data: LabelledImages, compute: Compute
) -> tuple[TrainingState, RealBatches]:
    """What the first step of training starts from."""
    networks = p.train.model_dump(include={"family", "size", "z_dim"})
    networks |= p.prepare.model_dump(include={"resolution", "channels"})
    architecture = resolve_architecture(**networks, num_classes=int(data.labels.max()) + 1)
    drawn = p.train.model_dump(include={"batch_size", "class_exponent"})
    where = compute.device
    batches = RealBatches(data.images, data.labels, **drawn, flips=(), seed=0, device=where)
    return make_state(architecture, p.train, batches, seed=0, device=where), batches


def _measure_steps(
    p: Params, state: TrainingState, batches: RealBatches, compute: Compute
) -> tuple[float, float]:
    """Mean seconds of a real image, and its FLOP in the simplest kind of step."""
    interval, every = p.train.penalty_interval, p.train.d_steps_per_g_step
    networks, objective = state.networks, make_objective(p.train)
    generator = torch.Generator(compute.device).manual_seed(0)
    update = STEPS.get(p.train.family, Step)

    def step(with_penalty: bool, with_g: bool) -> None:
        real, label = batches.draw(0)
        z = torch.randn(len(label), networks.G.latent_dim, device=compute.device)
        scale = interval if with_penalty else 0
        update(networks, objective, compute, generator, scale, with_g, 1.0).take(real, label, z)
        update_ema(state.G_ema, networks.G, decay=0.9)
        if compute.device.type == "cuda":
            torch.cuda.synchronize()

    with FlopCounterMode(display=False) as counter:  # it refuses the penalties' double backward
        step(False, every == 1)
    period = range(math.lcm(interval, every))
    kinds = Counter((number % interval == 0, (number + 1) % every == 0) for number in period)
    seconds = sum(times * usual(partial(step, *kind)) for kind, times in kinds.items())
    size = p.train.batch_size
    return seconds / len(period) / size, counter.get_total_flops() / size


@one_thread()
def _fit_each(
    p: Params, data: LabelledImages, nets: Sequence[str], _worker: int
) -> dict[str, float]:
    """In a worker: seconds by network, see `Speeds.fit`."""
    return {
        net: _fit_network(p, data, net) if NETWORKS[net].in_steps else _fit_linear(data)
        for net in nets
    }


def _fit_linear(data: LabelledImages) -> float:
    """Seconds of a view, of views that overlap as classes do."""
    rng, num_classes = np.random.default_rng(0), int(data.labels.max()) + 1
    shape = (len(data.labels), VIEWS["train"], NUM_COMPONENTS)
    centres = rng.normal(size=(num_classes, 1, NUM_COMPONENTS))
    views = (centres[data.labels] + 2 * rng.normal(size=shape)) / NUM_COMPONENTS**0.5
    own = LabelledImages(views.astype(np.float32), data.labels)
    rows, sets = np.arange(shape[0]), {"train": own, "val": own}
    fit = partial(fit_linear, sets, rows, rows, recipe=TEACHER, num_classes=num_classes)
    return timed(fit) / (shape[0] * shape[1])


def _fit_network(p: Params, data: LabelledImages, net: str) -> float:
    """Seconds of an image in a step."""
    make, e, num_classes = NETWORKS[net].make, p.evaluate, int(data.labels.max()) + 1
    assert make is not None
    targets, rows = one_hot(data.labels, num_classes), np.arange(len(data.labels))
    pool = Pool(data.images, data.labels, targets, rows)
    augment = ClassicalAugmentation((), e.classical, seed=0)

    def train(num: int) -> None:
        how = {"batch_size": e.batch_size, "num_steps": num}
        batches = draw_batches(pool, None, recipe=TEACHER, seed=0, **how)
        train_classifier(batches, network=make, augment=augment, num_steps=num, lr=e.lr, seed=0)

    train(2)  # warms up
    more = 25 if net == "cnn" else 4
    start = timed(lambda: train(1))
    return max(1e-4, (timed(lambda: train(1 + more)) - start) / more) / e.batch_size
