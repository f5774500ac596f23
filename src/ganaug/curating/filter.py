"""Score synthetic images with two classifiers, cross-fitted on the real training images.

Each classifier learns from one half of the groups; its feature space holds the other half. So no
network judges a real image that it has seen, and real images lie as far apart as new ones would.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ganaug.config import ClassicalParams
from ganaug.curating.neighbours import K, RealNeighbours
from ganaug.downstream.batches import Pool, draw_batches, one_hot
from ganaug.downstream.classical import ClassicalAugmentation
from ganaug.downstream.classifier import (
    Classifier,
    embed,
    predict,
    small_cnn,
    train_classifier,
)
from ganaug.downstream.recipes import Recipe
from ganaug.errors import DatasetError
from ganaug.images import Pixels
from ganaug.quality.neighbours import near_duplicate_distance
from ganaug.rng import derive_seed, numpy_rng
from ganaug.thumbnails import thumbnails

BATCH_SIZE = 64
LR = 0.004
MIN_IMAGES = 2 * (K + 1)  # of a class: both halves need neighbours

# Reasons to reject, in order of precedence.
OF_ITS_OWN = ("duplicate", "near_copy", "wrong_class", "unrealistic")
NEAR_DUPLICATE = "near_duplicate"  # of an image accepted earlier
REASONS = (*OF_ITS_OWN, NEAR_DUPLICATE)

Labels = NDArray[np.int64]


@dataclass(frozen=True)
class Scores:
    """Of M synthetic images.

    Args:
        label_confidence: [M] 0..1, the classifiers' mean probability of the wanted class.
        realism: [M] >= 0, mean over the two feature spaces; 1 is the edge of a real ball.
        nearest: [M] row of the nearest real training image.
        nearest_distance: [M] to it, in units of the median radius of real balls.
        is_copy: [M] closer to a training image than training images are to each other.
    """

    label_confidence: NDArray[np.float64]
    realism: NDArray[np.float64]
    nearest: NDArray[np.int64]
    nearest_distance: NDArray[np.float64]
    is_copy: NDArray[np.bool_]


class SyntheticFilter:
    """Two cross-fitted classifiers and the real images in their feature spaces.

    Args:
        images: [N, H, W, C] uint8, the real training images.
        labels: [N].
        groups: [N] group ids; a group is never split between the halves.
        class_names: what labels index.
        symmetries: flips that keep the label.
        classical: strength of the classifiers' augmentation.
        seed: of the halves and the classifiers.
        num_steps: optimiser steps of each classifier.
    Raises:
        DatasetError: a class has too few images for two halves.
    """

    def __init__(
        self,
        images: Pixels,
        labels: Labels,
        groups: Sequence[str],
        *,
        class_names: Sequence[str],
        symmetries: Sequence[str],
        classical: ClassicalParams,
        seed: int,
        num_steps: int,
    ) -> None:
        self._num_classes = len(class_names)
        halves = split_in_halves(labels, groups, class_names=class_names, seed=seed)
        self._rows: list[list[NDArray[np.int64]]] = []  # per half and class: held-out rows
        self._models: list[Classifier] = []
        self._spaces: list[list[RealNeighbours]] = []
        targets = one_hot(labels, self._num_classes)
        for half in (0, 1):
            seen, own_seed = halves == half, derive_seed(seed, "filter", half)
            pool = Pool(images, labels, targets, np.flatnonzero(seen))
            model = train_classifier(
                draw_batches(
                    pool,
                    None,
                    recipe=Recipe(),
                    batch_size=BATCH_SIZE,
                    num_steps=num_steps,
                    seed=derive_seed(own_seed, "classifier", "batches"),
                ),
                network=small_cnn,
                num_steps=num_steps,
                lr=LR,
                seed=own_seed,
                augment=ClassicalAugmentation(
                    symmetries, classical, seed=derive_seed(seed, "filter", "classical", half)
                ),
            )
            held_out = [np.flatnonzero(~seen & (labels == c)) for c in range(self._num_classes)]
            self._models.append(model)
            self._rows.append(held_out)
            self._spaces.append([RealNeighbours(embed(model, images[rows])) for rows in held_out])

    def score(self, images: Pixels, labels: Labels) -> Scores:
        """Score [M, H, W, C] uint8 images made for the classes `labels` [M]."""
        one, other = (self._score_by(half, images, labels) for half in (0, 1))
        is_closer = one.nearest_distance <= other.nearest_distance
        return Scores(
            label_confidence=np.mean([one.label_confidence, other.label_confidence], axis=0),
            realism=np.mean([one.realism, other.realism], axis=0),
            nearest=np.where(is_closer, one.nearest, other.nearest),
            nearest_distance=np.where(is_closer, one.nearest_distance, other.nearest_distance),
            is_copy=one.is_copy | other.is_copy,
        )

    def _score_by(self, half: int, images: Pixels, labels: Labels) -> Scores:
        model = self._models[half]
        features = embed(model, images)
        count = len(images)
        realism, distance = np.empty(count), np.empty(count)
        nearest, is_copy = np.empty(count, np.int64), np.empty(count, bool)
        for label in range(self._num_classes):
            of_class = labels == label
            position = self._spaces[half][label].locate(features[of_class])
            realism[of_class], distance[of_class] = position.realism, position.distance
            nearest[of_class] = self._rows[half][label][position.nearest]
            is_copy[of_class] = position.is_copy
        confidence = predict(model, images)[np.arange(count), labels]
        return Scores(confidence, realism, nearest, distance, is_copy)


def split_in_halves(
    labels: Labels, groups: Sequence[str], *, class_names: Sequence[str], seed: int
) -> NDArray[np.int64]:
    """Assign each image to half 0 or 1: whole groups, each class as evenly as groups allow.

    Raises:
        DatasetError: a class lies in one group only or has too few images.
    """
    counts = pd.crosstab(pd.Series(groups, name="group"), pd.Series(labels, name="label"))
    order = numpy_rng(seed, "filter", "halves").permutation(len(counts))
    table = counts.to_numpy()
    totals = np.zeros((2, table.shape[1]))
    half_of: dict[str, int] = {}
    # Largest groups first, each to the half that has fewer images of its classes.
    for index in order[np.argsort(-table.sum(axis=1)[order], kind="stable")]:
        lacks = (totals / table.sum(axis=0) * table[index]).sum(axis=1)
        half = int(lacks.argmin())
        totals[half] += table[index]
        half_of[str(counts.index[index])] = half
    poor = [
        class_names[int(c)]
        for c, n in zip(counts.columns, totals.min(axis=0), strict=True)
        if n < MIN_IMAGES / 2
    ]
    if poor:
        raise DatasetError(
            f"class {', '.join(poor)}: too few training images, or all in one group, to judge "
            f"synthetic ones ({MIN_IMAGES} in two groups at least); add images or drop the class"
        )
    return np.array([half_of[str(group)] for group in groups])


@dataclass(frozen=True)
class Thresholds:
    """Lowest accepted scores of one class, which most of its real images reach.

    Args:
        label_confidence: 0..1, never below chance.
        realism: >= 0.
    """

    label_confidence: float
    realism: float


def fit_thresholds(
    scores: Scores, labels: Labels, *, num_classes: int, acceptance: float
) -> list[Thresholds]:
    """Set thresholds by class from real images.

    One threshold for all would reject the classes that vary most, such as cracked cells: their real
    images, too, lie further apart.

    Args:
        scores: of real images that no classifier has seen, for their own class.
        labels: [N].
        num_classes: K.
        acceptance: share of a class's real images that pass each threshold, 0..1. More pass if the
            class has few images, fewer if the threshold would fall below chance, 1 / K.
    """

    def least(values: NDArray[np.float64], *, floor: float) -> float:
        found = np.quantile(values, 1 - acceptance, method="lower") if len(values) else floor
        return max(float(found), floor)

    by_class = [labels == label for label in range(num_classes)]
    return [
        Thresholds(
            least(scores.label_confidence[own], floor=1 / num_classes),
            least(scores.realism[own], floor=0.0),
        )
        for own in by_class
    ]


def near_duplicate_distances(
    images: Pixels, labels: Labels, groups: Sequence[str], *, num_classes: int
) -> list[float]:
    """By class, a distance below that of any two real images of different groups."""
    small, codes = thumbnails(images), pd.Series(groups)
    return [
        near_duplicate_distance(small[labels == label], codes[labels == label])
        for label in range(num_classes)
    ]


def reject_reasons(
    scores: Scores,
    is_duplicate: NDArray[np.bool_],
    *,
    least: Thresholds,
) -> NDArray[np.str_]:
    """The first reason in `OF_ITS_OWN` to reject each image; "" to accept it."""
    conditions = (
        is_duplicate,
        scores.is_copy,
        scores.label_confidence < least.label_confidence,
        scores.realism < least.realism,
    )
    return np.select(conditions, OF_ITS_OWN, default="").astype(np.str_)
