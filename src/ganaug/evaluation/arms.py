"""The arms: one classifier recipe on different training sets, repeated over paired seeds.

A repetition draws its own nine tenths of the real and of the synthetic images of classes that have
ten, its own first weights and batches; its arms share them. The verdict so hangs on no few images,
but intervals show only a ninth of the variance between datasets of this size.
All arms take the same number of optimiser steps at the same batch size and keep the last weights,
so an arm with more images gets no longer training and none is picked by its test score. Runs are
independent, one thread each, so any number of workers gives the same numbers.
"""

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import nn

from ganaug.config import ClassicalParams
from ganaug.evaluation.batches import SyntheticPool
from ganaug.evaluation.classical import ClassicalAugmentation
from ganaug.evaluation.classifier import BatchTransform, Rows, predict, small_cnn, train_classifier
from ganaug.evaluation.linear import RandomView, as_they_are, linear
from ganaug.parallel import map_unordered
from ganaug.progress import ProgressReport
from ganaug.rng import derive_seed, numpy_rng

RECALL = "recall/"  # + class name: columns of the runs
FIT_SECONDS = "fit_seconds"  # column of the runs: a run's training time, shared by its rows
NETWORKS = {"cnn": small_cnn, "linear": linear}
DRAWN = 0.9  # share of the real and of the synthetic images that each repetition draws for itself


@dataclass(frozen=True)
class Arm:
    """What one arm trains on."""

    real: bool = True
    classical: bool = False
    class_balanced: bool = False
    synthetic: bool = False


ARMS = {
    "A": Arm(),
    "B": Arm(classical=True),
    "B'": Arm(classical=True, class_balanced=True),
    "C": Arm(synthetic=True),
    "D": Arm(classical=True, synthetic=True),
    "E": Arm(real=False, classical=True, synthetic=True),
}


@dataclass(frozen=True)
class LabelledImages:
    """Images with labels; `images` may be a memory map, which workers open themselves."""

    images: Rows  # [N, H, W, C] uint8, or [N, V, D] of `linear`
    labels: NDArray[np.int64]  # [N]
    weights: NDArray[np.float32]  # [N], in a training loss


Sets = Mapping[str, LabelledImages]  # "train" and "synthetic", and what is scored: "val", "test"


@dataclass(frozen=True)
class Recipe:
    """How every classifier is trained; see `train_classifier`."""

    num_steps: int
    batch_size: int
    lr: float
    class_names: tuple[str, ...]
    symmetries: tuple[str, ...]  # flips that keep every label
    classical: ClassicalParams


@dataclass(frozen=True)
class Run:
    """One classifier to train.

    Args:
        network: of `NETWORKS`.
        arm: of `ARMS`.
        seed: number of the repetition; runs with equal numbers are paired.
        ratio: synthetic images per real one in a batch, > 0, of the arms that mix.
        fraction: share of each class's real training images, 0 < share <= 1; smaller shares are
            parts of larger ones, and another repetition draws others.
    """

    network: str
    arm: str
    seed: int
    ratio: float
    fraction: float = 1.0


def train_arm(run: Run, sets: Sets, *, recipe: Recipe, seed: int) -> nn.Module:
    """The classifier of a run; all of its draws derive from `seed` and the run's own."""
    arm, own_seed = ARMS[run.arm], derive_seed(seed, "arms", run.seed)
    train, synthetic, pool = sets["train"], sets["synthetic"], None
    if arm.synthetic:
        share = run.ratio / (1 + run.ratio) if arm.real else 1.0
        made = draw_rows(synthetic.labels, DRAWN, rng=numpy_rng(own_seed, "synthetic"))
        pool = SyntheticPool(synthetic.images, synthetic.labels, synthetic.weights, share, made)
    rows = draw_rows(train.labels, DRAWN * run.fraction, rng=numpy_rng(own_seed, "fraction"))
    with _one_thread():
        model: nn.Module = train_classifier(
            train.images,
            train.labels,
            rows=rows,
            network=NETWORKS[run.network],
            num_classes=len(recipe.class_names),
            num_steps=recipe.num_steps,
            batch_size=recipe.batch_size,
            lr=recipe.lr,
            seed=own_seed,
            class_balanced=arm.class_balanced,
            augment=_augment(run.network, arm, recipe, own_seed),
            synthetic=pool,
        )
    return model


def draw_rows(
    labels: NDArray[np.int64], fraction: float, *, rng: np.random.Generator
) -> NDArray[np.int64]:
    """Rows of a share of each class, rounded up, in rising order."""
    exact = [math.ceil(round(n * fraction, 6)) for n in np.bincount(labels)]
    rows = [rng.permutation(np.flatnonzero(labels == c))[:n] for c, n in enumerate(exact)]
    return np.sort(np.concatenate(rows))


def score_runs(
    runs: Sequence[Run],
    sets: Mapping[str, Sets],
    splits: Sequence[str],
    *,
    recipe: Recipe,
    seed: int,
    num_workers: int,
) -> pd.DataFrame:
    """Train and score every run.

    Args:
        runs: in any order.
        sets: by network.
        splits: what is scored; nothing else of `sets` but train and synthetic is touched.
        recipe: of all classifiers.
        seed: all seeds derive from it.
        num_workers: processes.
    Returns:
        A row per run and split, in the order of `runs` and `splits`: the fields of `Run`, split,
        macro_f1, recall/<class>, and fit_seconds, whose sum is the time spent in training.
    """
    results = map_unordered(
        partial(_score, sets, tuple(splits), recipe, seed),
        list(enumerate(runs)),
        num_workers=num_workers,
    )
    rows: dict[int, list[dict[str, Any]]] = {}
    with ProgressReport("evaluate", total=len(runs), unit="classifiers") as progress:
        for index, scores in results:
            rows[index] = scores
            progress.advance()
    return pd.DataFrame([row for index in range(len(runs)) for row in rows[index]])


def _score(
    sets: Mapping[str, Sets],
    splits: tuple[str, ...],
    recipe: Recipe,
    seed: int,
    task: tuple[int, Run],
) -> tuple[int, list[dict[str, Any]]]:
    """Rows of one classifier, one per split."""
    index, run = task
    own = sets[run.network]
    began = time.thread_time()
    model = train_arm(run, own, recipe=recipe, seed=seed)
    seconds = (time.thread_time() - began) / len(splits)
    rows = []
    for split in splits:
        with _one_thread():
            predicted = predict(model, own[split].images).argmax(axis=1)
        score, recalls = scores(own[split].labels, predicted, len(recipe.class_names))
        columns = {RECALL + c: value for c, value in zip(recipe.class_names, recalls, strict=True)}
        rows.append(
            {**asdict(run), "split": split, "macro_f1": score, **columns, FIT_SECONDS: seconds}
        )
    return index, rows


def scores(
    labels: NDArray[np.int64], predicted: NDArray[np.int64], num_classes: int
) -> tuple[float, list[float]]:
    """Macro-F1 and each class's recall, 0..1; a class without images counts as 0.

    Macro-F1 is the mean over all classes of 2 TP / (2 TP + FP + FN).
    """
    pairs = np.bincount(labels * num_classes + predicted, minlength=num_classes**2)
    table = pairs.reshape(num_classes, num_classes)  # [true class, predicted class]
    hits, images = np.diag(table), table.sum(1)
    f1 = 2 * hits / np.maximum(table.sum(0) + images, 1)
    return float(f1.mean()), (hits / np.maximum(images, 1)).tolist()


def _augment(network: str, arm: Arm, recipe: Recipe, seed: int) -> BatchTransform | None:
    """What happens to every batch, real and synthetic alike."""
    if network == "linear":
        return RandomView(seed=seed) if arm.classical else as_they_are
    if not arm.classical:
        return None
    return ClassicalAugmentation(recipe.symmetries, recipe.classical, seed=seed)


@contextmanager
def _one_thread() -> Iterator[None]:
    """Run torch on one thread: workers don't fight for cores, and sums don't depend on them."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
