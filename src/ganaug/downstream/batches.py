"""Which images share a batch of a classifier: shuffled rounds, balanced classes, a synthetic share.

Real and synthetic images follow one law of classes. Otherwise an arm with synthetic images could
win by its classes alone, which class-balanced sampling does for nothing.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ganaug.downstream.recipes import SYNTHETIC_UNTIL, Recipe
from ganaug.images import Indices, Labels
from ganaug.rng import numpy_rng

Images = NDArray[Any]  # [N, H, W, C] uint8


@dataclass(frozen=True)
class Pool:
    """Images to draw from.

    Args:
        images: [N, H, W, C] uint8, perhaps a memory map; or [N] numbers, to draw these alone.
        labels: [N] in 0..K-1.
        targets: [N, K] float32, what the classifier should say: one-hot or soft.
        rows: indices of the images that are used.
    """

    images: Images
    labels: Labels
    targets: NDArray[np.float32]
    rows: Indices


@dataclass(frozen=True)
class Batch:
    """Images of one optimiser step."""

    images: Images  # [B, H, W, C]
    targets: NDArray[np.float32]  # [B, K]
    weights: NDArray[np.float32]  # [B], in the loss


def row_weights(
    labels: Labels, synthetic: NDArray[np.bool_], recipe: Recipe
) -> NDArray[np.float64]:
    """For learners that take all rows at once: how often a recipe draws each, times its weight.

    Args:
        labels: [N], of real rows and perhaps synthetic ones.
        synthetic: [N], which they are.
        recipe: law of classes, share, schedule and weight in the loss.
    Returns:
        [N] that add up to the number of real rows; 0 for rows that the recipe never draws.
    """
    num_real = np.bincount(labels[~synthetic], minlength=labels.max() + 1)
    num_synthetic = np.bincount(labels[synthetic], minlength=len(num_real))
    law = (num_real > 0).astype(float) if recipe.balanced else num_real.astype(float)
    shares = np.where(num_synthetic > 0, recipe.mean_share, 0.0)  # other classes keep the real ones
    shares *= class_need(num_real, recipe)
    of_real = law * (1 - shares) / np.maximum(num_real, 1) * recipe.real
    of_synthetic = law * shares * recipe.weight / np.maximum(num_synthetic, 1)
    weights = np.where(synthetic, of_synthetic[labels], of_real[labels])
    return np.asarray(weights * num_real.sum() / weights.sum())


def class_need(num_real: NDArray[np.int64], recipe: Recipe) -> NDArray[np.float64]:
    """[K] real images by class -> [K] the part of a recipe's share that each class gets, 0..1."""
    if not recipe.by_need:
        return np.ones(len(num_real))
    need: NDArray[np.float64] = 1 - num_real / num_real.max()
    return need


def one_hot(labels: Labels, num_classes: int) -> NDArray[np.float32]:
    """[N] -> [N, K]."""
    return np.eye(num_classes, dtype=np.float32)[labels]


def draw_batches(
    real: Pool,
    synthetic: Pool | None,
    *,
    recipe: Recipe,
    batch_size: int,
    num_steps: int,
    seed: int,
) -> Iterator[Batch]:
    """One batch a step; every image is used once before any of its class is used again.

    A synthetic image takes the place of a real one of the same class, drawn by the same law; a
    class without synthetic images keeps the real ones.

    Args:
        real: the real training images.
        synthetic: needed where the recipe has a share of them.
        recipe: share, schedule, weight and law of classes.
        batch_size: B, real and synthetic together.
        num_steps: of the whole training.
        seed: real and synthetic rows come from streams of their own, so that recipes meet the real
            images in the same order as long as their batches hold the same number of them.
    """
    drawn = real
    if not recipe.real:  # real images only say which class comes next
        assert synthetic is not None
        is_known = np.isin(real.labels[real.rows], synthetic.labels[synthetic.rows])
        drawn = replace(real, rows=real.rows[is_known])
    assert len(drawn.rows), "nothing to draw from"
    stays = _ordered(drawn, recipe.balanced, numpy_rng(seed, "real"))
    replaced = _ordered(drawn, recipe.balanced, numpy_rng(seed, "stand"))
    need = class_need(np.bincount(real.labels[real.rows]), recipe)
    need_rng = numpy_rng(seed, "need")
    of_class = {} if synthetic is None else _by_class(synthetic, numpy_rng(seed, "synthetic"))
    for step in range(num_steps):
        num_synthetic = _num_synthetic(recipe, batch_size, step / num_steps)
        rows = np.fromiter(islice(stays, batch_size - num_synthetic), np.int64)
        stand_ins = np.fromiter(islice(replaced, num_synthetic), np.int64)
        labels = real.labels[stand_ins]
        is_replaced = np.isin(labels, list(of_class))
        is_replaced &= need_rng.random(num_synthetic) < need[labels]
        parts = [(real, np.concatenate([rows, stand_ins[~is_replaced]]), 1.0)]
        if synthetic is not None and is_replaced.any():
            chosen = [next(of_class[label]) for label in labels[is_replaced]]
            parts.append((synthetic, np.array(chosen, np.int64), recipe.weight))
        yield Batch(
            np.concatenate([pool.images[rows] for pool, rows, _ in parts]),
            np.concatenate([pool.targets[rows] for pool, rows, _ in parts]),
            np.concatenate([np.full(len(rows), weight, np.float32) for _, rows, weight in parts]),
        )


def _num_synthetic(recipe: Recipe, batch_size: int, progress: float) -> int:
    """How many images of a batch may be synthetic: in a mix one at least, and not all."""
    if recipe.share in (0, 1):
        return round(batch_size * recipe.share)
    if recipe.schedule == "first" and progress >= SYNTHETIC_UNTIL:
        return 0
    return min(max(1, round(batch_size * recipe.share)), batch_size - 1)


def _ordered(pool: Pool, balanced: bool, rng: np.random.Generator) -> Iterator[int]:
    """Rows of a pool without end: all once per round, or every class once per round."""
    if not balanced:
        yield from _rounds(pool.rows, rng)
    of_class = _by_class(pool, rng)
    for label in _rounds(np.array(sorted(of_class)), rng):
        yield next(of_class[label])


def _by_class(pool: Pool, rng: np.random.Generator) -> dict[int, Iterator[int]]:
    """Rows of each class without end."""
    own = pool.labels[pool.rows]
    present = np.unique(own).tolist()
    children = rng.spawn(len(present))
    return {
        label: _rounds(pool.rows[own == label], child)
        for label, child in zip(present, children, strict=True)
    }


def _rounds(values: NDArray[np.int64], rng: np.random.Generator) -> Iterator[int]:
    """Every value once per round, in a new random order each round."""
    while True:
        yield from rng.permutation(values).tolist()
