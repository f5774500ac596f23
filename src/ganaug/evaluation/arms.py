"""The arms: one classifier recipe on different training sets, repeated over paired seeds.

All arms take the same number of optimiser steps at the same batch size and keep the last weights,
so an arm with more images gets no longer training and none is picked by its test score. Runs are
independent, one thread each, so any number of workers gives the same numbers.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from ganaug.evaluation.batches import SyntheticPool
from ganaug.evaluation.classical import ClassicalAugmentation
from ganaug.evaluation.classifier import Classifier, predict, train_classifier
from ganaug.evaluation.scores import class_recalls, macro_f1
from ganaug.images import Pixels
from ganaug.parallel import map_unordered
from ganaug.progress import ProgressReport
from ganaug.rng import derive_seed

RECALL = "recall/"  # + class name: columns of the runs


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

    images: Pixels  # [N, H, W, C]
    labels: NDArray[np.int64]  # [N]
    weights: NDArray[np.float32]  # [N], in a training loss


@dataclass(frozen=True)
class Recipe:
    """How every arm's classifier is trained; see `train_classifier`."""

    num_steps: int
    batch_size: int
    lr: float
    synthetic_fraction: float  # of a batch, in the arms that mix; 0 < share < 1
    symmetries: tuple[str, ...]  # flips that keep every label


def train_arm(
    arm: Arm,
    train: LabelledImages,
    synthetic: LabelledImages,
    *,
    num_classes: int,
    recipe: Recipe,
    seed: int,
) -> Classifier:
    """One classifier of an arm; equal seeds pair it with those of the other arms."""
    pool = None
    if arm.synthetic:
        share = recipe.synthetic_fraction if arm.real else 1.0
        pool = SyntheticPool(synthetic.images, synthetic.labels, synthetic.weights, share)
    with _one_thread():
        return train_classifier(
            train.images,
            train.labels,
            num_classes=num_classes,
            num_steps=recipe.num_steps,
            batch_size=recipe.batch_size,
            lr=recipe.lr,
            seed=seed,
            class_balanced=arm.class_balanced,
            augment=ClassicalAugmentation(recipe.symmetries, seed=seed) if arm.classical else None,
            synthetic=pool,
        )


def run_arms(
    train: LabelledImages,
    synthetic: LabelledImages,
    splits: Mapping[str, LabelledImages],
    *,
    class_names: Sequence[str],
    recipe: Recipe,
    num_seeds: int,
    seed: int,
    num_workers: int,
) -> pd.DataFrame:
    """Train and score every arm with every seed; without synthetic images only A, B and B'.

    Args:
        train: real images.
        synthetic: perhaps none.
        splits: what is scored, say val and test.
        class_names: K names.
        recipe: of all classifiers.
        num_seeds: paired repetitions.
        seed: they derive from it.
        num_workers: processes.
    Returns:
        A row per arm, seed and split: arm, seed, split, macro_f1, and recall/<class>; in the order
        of ARMS, seeds and splits.
    """
    arms = [name for name, arm in ARMS.items() if len(synthetic.labels) or not arm.synthetic]
    tasks = [(name, number) for number in range(num_seeds) for name in arms]
    results = map_unordered(
        partial(_run, train, synthetic, dict(splits), tuple(class_names), recipe, seed),
        tasks,
        num_workers=num_workers,
    )
    rows: list[dict[str, Any]] = []
    with ProgressReport("evaluate", total=len(tasks), unit="classifiers") as progress:
        for scores in results:
            rows += scores
            progress.advance()
    runs = pd.DataFrame(rows)
    runs["arm"] = pd.Categorical(runs["arm"], categories=arms, ordered=True)
    runs["split"] = pd.Categorical(runs["split"], categories=list(splits), ordered=True)
    runs = runs.sort_values(["arm", "seed", "split"], ignore_index=True)
    return runs.astype({"arm": "str", "split": "str"})


def _run(
    train: LabelledImages,
    synthetic: LabelledImages,
    splits: dict[str, LabelledImages],
    class_names: tuple[str, ...],
    recipe: Recipe,
    seed: int,
    task: tuple[str, int],
) -> list[dict[str, Any]]:
    """Rows of one classifier, (arm, number of the repetition), one per split."""
    name, number = task
    model = train_arm(
        ARMS[name],
        train,
        synthetic,
        num_classes=len(class_names),
        recipe=recipe,
        seed=derive_seed(seed, "arms", number),
    )
    rows = []
    for split, part in splits.items():
        with _one_thread():
            predicted = predict(model, part.images).argmax(axis=1)
        recalls = class_recalls(part.labels, predicted, len(class_names))
        columns = {RECALL + c: value for c, value in zip(class_names, recalls, strict=True)}
        score = macro_f1(part.labels, predicted, len(class_names))
        rows.append({"arm": name, "seed": number, "split": split, "macro_f1": score, **columns})
    return rows


@contextmanager
def _one_thread() -> Iterator[None]:
    """Run torch on one thread: workers don't fight for cores, and sums don't depend on them."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
