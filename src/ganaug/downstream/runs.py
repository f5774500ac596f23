"""Runs: a network, a recipe and a repetition, trained and scored on stored predictions.

A repetition draws its own nine tenths of the real and of the synthetic images of classes that have
ten, its own first weights and batches; recipes share them, so their differences are paired. All
recipes of a network take the same number of optimiser steps at the same batch size and keep the
last weights, so none trains longer and none is picked by its test score. Runs are independent, one
thread each, so any number of workers gives the same numbers.
"""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.metrics import precision_recall_fscore_support
from torch import nn

from ganaug.downstream import efficientnet
from ganaug.downstream.batches import Pool, draw_batches, one_hot
from ganaug.downstream.classifier import predict, small_cnn, train_classifier
from ganaug.downstream.linear import fit_linear
from ganaug.downstream.recipes import Recipe
from ganaug.downstream.setting import Setting
from ganaug.images import Indices, Labels
from ganaug.parallel import MapTasks, in_order, one_thread
from ganaug.progress import ProgressReport
from ganaug.quality.parts import LabelledImages
from ganaug.rng import derive_seed, numpy_rng

RECALL = "recall/"  # + class name: columns of the runs
DRAWN = 0.9  # share of the real and of the synthetic images that each repetition draws for itself
HARD = 0.5  # weight of the given label in a soft one

Sets = Mapping[str, LabelledImages]  # "train" and "synthetic", and what is scored: "val", "test"
Probabilities = NDArray[np.float64]
Predictor = Callable[[NDArray[Any]], Probabilities]  # of [N, ...] images: [N, K]


@dataclass(frozen=True)
class Network:
    """A kind of classifier.

    Args:
        words: for sentences.
        make: a new network of an image's shape and the number of classes; None for the linear one.
        num_steps, lr: of its training; None where params have them.
    """

    words: str
    make: Callable[[tuple[int, ...], int], nn.Module] | None = None
    num_steps: int | None = None
    lr: float | None = None

    @property
    def in_steps(self) -> bool:
        """Whether it learns from one batch after another."""
        return self.make is not None


NETWORKS = {
    "cnn": Network("a small CNN", small_cnn),
    "linear": Network("a linear classifier on ImageNet features"),
    "efficientnet": Network(
        "EfficientNet-Lite0 fine-tuned from ImageNet",
        efficientnet.FineTuned,
        efficientnet.NUM_STEPS,
        efficientnet.LR,
    ),
}


@dataclass(frozen=True)
class Run:
    """One classifier to train.

    Args:
        network: of `NETWORKS`.
        recipe: how.
        repetition: number; runs with equal numbers are paired.
        scored: sets of which its probabilities are wanted.
    """

    network: str
    recipe: Recipe
    repetition: int
    scored: tuple[str, ...] = ()


def fit(run: Run, sets: Sets, setting: Setting) -> Predictor:
    """Train the classifier of a run; all of its draws derive from the setting's seed and its own.

    Args:
        run: which.
        sets: as its network takes them.
        setting: of all runs.
    """
    if NETWORKS[run.network].in_steps:
        return partial(predict, fit_network(run, sets, setting))
    _, real, synthetic = _draw(run, sets, setting)
    num_classes = len(setting.class_names)
    return fit_linear(sets, real, synthetic, recipe=run.recipe, num_classes=num_classes)


def fit_network(run: Run, sets: Sets, setting: Setting) -> nn.Module:
    """As `fit`, of a network that learns step by step."""
    network, recipe = NETWORKS[run.network], run.recipe
    assert network.make is not None
    seed, real, synthetic = _draw(run, sets, setting)

    def pool(name: str, rows: Indices) -> Pool:
        own = sets[name]
        targets = one_hot(own.labels, len(setting.class_names))
        if recipe.soft_labels:
            assert setting.soft, "soft labels need teachers"
            targets = (HARD * targets + (1 - HARD) * setting.soft[name]).astype(np.float32)
        return Pool(own.images, own.labels, targets, rows)

    num_steps = network.num_steps or setting.num_steps
    return train_classifier(
        draw_batches(
            pool("train", real),
            pool("synthetic", synthetic) if recipe.share else None,
            recipe=recipe,
            batch_size=setting.batch_size,
            num_steps=num_steps,
            seed=derive_seed(seed, "batches"),
        ),
        network=network.make,
        num_steps=num_steps,
        lr=network.lr or setting.lr,
        seed=seed,
        augment=setting.augmentation(seed) if recipe.classical else None,
        mixup=recipe.mixup,
        cutmix=recipe.cutmix,
    )


def _draw(run: Run, sets: Sets, setting: Setting) -> tuple[int, Indices, Indices]:
    """A repetition's seed, and the rows of the real and of the synthetic images that it uses."""
    seed = derive_seed(setting.seed, "runs", run.repetition)
    return (
        seed,
        draw_rows(sets["train"].labels, DRAWN, rng=numpy_rng(seed, "rows")),
        draw_rows(sets["synthetic"].labels, DRAWN, rng=numpy_rng(seed, "synthetic")),
    )


def draw_rows(labels: Labels, fraction: float, *, rng: np.random.Generator) -> Indices:
    """Rows of a share of each class, rounded up, in rising order."""
    exact = [math.ceil(round(n * fraction, 6)) for n in np.bincount(labels)]
    rows = [rng.permutation(np.flatnonzero(labels == c))[:n] for c, n in enumerate(exact)]
    return np.sort(np.concatenate([np.empty(0, np.int64), *rows]))


def score_runs(
    runs: Sequence[Run],
    sets: Mapping[str, Sets],
    *,
    setting: Setting,
    map_tasks: MapTasks = map,
) -> pd.DataFrame:
    """Train every run and score it on the sets that it names.

    Args:
        runs: in any order.
        sets: by network; beside what the runs name, only train, synthetic and, by the linear
            classifier, val are touched.
        setting: of all runs.
        map_tasks: as `map`, which works in this process; may give the results in any order.
    Returns:
        A row per run and set, in the order of `runs`: network, recipe (its name),
        repetition, split, macro_f1, recall/<class>, probabilities ([N, K], in one cell), seconds.
    """
    rows = list[dict[str, Any]]()
    with ProgressReport("evaluate", total=len(runs), unit="classifiers") as progress:
        for scored in in_order(partial(_score, sets, setting), runs, map_tasks):
            rows += scored
            progress.advance()
    return pd.DataFrame(rows)


@one_thread()
def _score(sets: Mapping[str, Sets], setting: Setting, run: Run) -> list[dict[str, Any]]:
    """Rows of one classifier, one per split."""
    own = sets[run.network]
    named = {"network": run.network, "recipe": run.recipe.name, "repetition": run.repetition}
    began, rows = time.thread_time(), []
    predictor = fit(run, own, setting)
    for split in run.scored:
        probabilities = predictor(own[split].images)
        measured = scores(own[split].labels, probabilities.argmax(1), setting.class_names)
        said = {"probabilities": probabilities.astype(np.float32)}
        rows.append({**named, "split": split, **measured, **said})
    seconds = (time.thread_time() - began) / len(run.scored)
    return [row | {"seconds": seconds} for row in rows]


def scores(labels: Labels, predicted: Labels, class_names: Sequence[str]) -> dict[str, float]:
    """Macro-F1 and each class's recall, 0..1; a class without images counts as 0."""
    if len(labels) == 0:
        return {"macro_f1": 0.0, **{RECALL + name: 0.0 for name in class_names}}
    _, recalls, f1, _ = precision_recall_fscore_support(
        labels, predicted, labels=range(len(class_names)), zero_division=0
    )
    return {
        "macro_f1": float(f1.mean()),
        **{RECALL + name: float(r) for name, r in zip(class_names, recalls, strict=True)},
    }
