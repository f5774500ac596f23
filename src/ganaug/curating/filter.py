"""Score synthetic images with two classifiers, cross-fitted on the real training images.

Each classifier learns from one half of the groups; its feature space holds the other half. So no
network judges a real image that it has seen, and real images lie as far apart as new ones would.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ganaug.curating.comparing import RealNeighbours, blocks_of, own_copy_ratios
from ganaug.downstream.batches import Pool, draw_batches, one_hot
from ganaug.downstream.classifier import Classifier, embed, predict, small_cnn, train_classifier
from ganaug.downstream.recipes import Recipe
from ganaug.downstream.setting import Setting
from ganaug.errors import DatasetError
from ganaug.images import Indices, Labels, Pixels
from ganaug.parallel import MapTasks, in_order, one_thread
from ganaug.rng import derive_seed, numpy_rng

BATCH_SIZE = 64
LR = 0.004
MIN_IMAGES = 4  # of a class: in both halves a real image needs another one
FEWEST_RATIOS = 8  # images of a class in a half; the limit for copies is read off their ratios
ASKED = ["label_confidence", "realism"]  # scores with a threshold

# Reasons to reject, in order of precedence, as synthetic.json names them.
DUPLICATE = "duplicate"  # the very pixels of a real image or of one drawn earlier
BY_SCORE = (
    # Nearer to a real image than 99 % of these are to each other, for the filter's networks; the
    # verdict has a rule of its own for copies (quality/memorisation.py).
    "near_copy",
    "doubtful_class",  # label_confidence too low; the class may still be the likeliest
    "unrealistic",
)
UNCHANGED = "unchanged"  # still the real image that it was made from
REPEAT = "repeat"  # nearly the picture of an image accepted earlier
REASONS = (DUPLICATE, *BY_SCORE, UNCHANGED, REPEAT)
REJECTED_BY_PERSON = "rejected_by_person"  # counted only where there are any


# The classifier of a half and, by class, the rows held out of it and their neighbours.
_Half = tuple[Classifier, list[tuple[Indices, RealNeighbours]]]


class SyntheticFilter:
    """Two cross-fitted classifiers and the real images in their feature spaces.

    Args:
        images: [N, H, W, C] uint8, the real training images.
        labels: [N].
        groups: [N] group ids; a group is never split between the halves.
        setting: of both classifiers; its seed is that of the halves, too.
        map_tasks: as `map`, which trains in this process; may give the results in any order.
    Raises:
        DatasetError: a class has too few images for two halves.
    """

    def __init__(
        self,
        images: Pixels,
        labels: Labels,
        groups: Sequence[str],
        setting: Setting,
        *,
        map_tasks: MapTasks = map,
    ) -> None:
        names, seed = setting.class_names, setting.seed
        halves = split_in_halves(labels, groups, class_names=names, seed=seed)
        learn = partial(_learn_half, images, labels, halves, setting)
        self._halves: list[_Half] = list(in_order(learn, (0, 1), map_tasks))

    def score(self, images: Pixels, labels: Labels) -> pd.DataFrame:
        """Score [M, H, W, C] uint8 images made for the classes `labels` [M].

        Returns:
            M rows of
            - label_confidence: 0..1, the classifiers' mean probability of the wanted class
            - realism: >= 0, mean over the two feature spaces; 1 is the edge of a real ball
            - nearest: row of the nearest real training image of its class
            - nearest_distance: to it, 1 being the median radius of real balls
            - is_copy: whether it is closer to one of these than all but 1 % of them are to others
        """
        one, other = (self._score_by(half, images, labels) for half in (0, 1))
        is_closer = one["nearest_distance"] <= other["nearest_distance"]
        scores: pd.DataFrame = one.where(is_closer, other)
        scores[ASKED] = (one[ASKED] + other[ASKED]) / 2
        scores["is_copy"] = one["is_copy"] | other["is_copy"]
        return scores

    def _score_by(self, half: int, images: Pixels, labels: Labels) -> pd.DataFrame:
        model, spaces = self._halves[half]
        parts, features = list[pd.DataFrame](), embed(model, images)
        for label in np.unique(labels):
            own = np.flatnonzero(labels == label)
            rows, neighbours = spaces[label]
            part = neighbours.locate(features[own]).set_index(own)
            parts.append(part.assign(nearest=rows[part["nearest"]]))
        scores = pd.concat(parts).sort_index()
        scores["label_confidence"] = predict(model, images)[np.arange(len(images)), labels]
        return scores


def _learn_half(
    images: Pixels, labels: Labels, halves: NDArray[np.int64], setting: Setting, half: int
) -> _Half:
    """On one thread, so that the classifier is the same on any number of cores."""
    num_classes, seed = len(setting.class_names), setting.seed
    seen, own_seed = halves == half, derive_seed(seed, "filter", half)
    pool = Pool(images, labels, one_hot(labels, num_classes), np.flatnonzero(seen))
    with one_thread():
        model = train_classifier(
            draw_batches(
                pool,
                None,
                recipe=Recipe(),
                batch_size=setting.batch_size,
                num_steps=setting.num_steps,
                seed=derive_seed(own_seed, "classifier", "batches"),
            ),
            network=small_cnn,
            num_steps=setting.num_steps,
            lr=setting.lr,
            seed=own_seed,
            augment=setting.augmentation(derive_seed(seed, "filter", "classical", half)),
        )
        held_out = [np.flatnonzero(~seen & (labels == c)) for c in range(num_classes)]
        features = [_embed_rows(model, images, rows) for rows in held_out]
        return model, list(zip(held_out, _neighbours(features), strict=True))


def _embed_rows(model: Classifier, images: Pixels, rows: Indices) -> NDArray[np.float32]:
    features = np.empty((len(rows), model.head.in_features), np.float32)
    for own, block in blocks_of(images, rows):
        features[own] = embed(model, block)
    return features


def _neighbours(features: Sequence[NDArray[np.float32]]) -> list[RealNeighbours]:
    """Of each class's images [N, D]. Of a few the copy ratios tell nothing: all classes' do."""
    ratios = [own_copy_ratios(own) for own in features]
    pooled = np.concatenate([np.ones(1), *(r for r in ratios if len(r) > 1)])
    return [
        RealNeighbours(own, of_class if len(own) >= FEWEST_RATIOS else pooled)
        for own, of_class in zip(features, ratios, strict=True)
    ]


def split_in_halves(
    labels: Labels, groups: Sequence[str], *, class_names: Sequence[str], seed: int
) -> NDArray[np.int64]:
    """Assign each image to half 0 or 1: whole groups, each class as evenly as groups allow.

    Raises:
        DatasetError: a class lies in one group only or has too few images.
    """
    codes = pd.factorize(np.array(groups, dtype=object), sort=True)[0]
    counts = pd.crosstab(codes, labels)
    order = numpy_rng(seed, "filter", "halves").permutation(len(counts))
    table = counts.to_numpy()
    halves, totals = np.zeros(len(table), np.int64), np.zeros((2, table.shape[1]))
    # Largest groups first, each to the half that has fewer images of its classes.
    for index in order[np.argsort(-table.sum(axis=1)[order], kind="stable")]:
        lacks = (totals / table.sum(axis=0) * table[index]).sum(axis=1)
        halves[index] = lacks.argmin()
        totals[halves[index]] += table[index]
    poor = [class_names[c] for c in counts.columns[totals.min(axis=0) < MIN_IMAGES / 2]]
    if poor:
        raise DatasetError(
            f"class {', '.join(poor)}: too few training images, or all in one group, to judge "
            f"synthetic ones ({MIN_IMAGES} in two groups at least); add images or drop the class"
        )
    return halves[codes]


def fit_thresholds(
    scores: pd.DataFrame, labels: Labels, *, class_names: Sequence[str], acceptance: float
) -> dict[str, dict[str, float]]:
    """Set thresholds of the `ASKED` scores by class, which most of its real images reach.

    One threshold for all would reject the classes that vary most, such as cracked cells: their real
    images, too, lie further apart.

    Args:
        scores: of real images that no classifier has seen, for their own class.
        labels: [N].
        class_names: K of them, what labels index.
        acceptance: share of a class's real images that pass each threshold, 0..1. More pass if the
            class has few images, fewer if the threshold of label_confidence would fall below that
            of a guess, 1 / K.
    """
    thresholds = scores[ASKED].groupby(labels).quantile(1 - acceptance, interpolation="lower")
    thresholds = thresholds.reindex(range(len(class_names)), fill_value=0.0)
    guess = 1 / len(class_names)
    thresholds["label_confidence"] = thresholds["label_confidence"].clip(lower=guess)
    by_class: Any = thresholds.set_axis(list(class_names)).to_dict("index")
    return dict(by_class)


def reject_by_score(scores: pd.DataFrame, min_scores: Mapping[str, float]) -> NDArray[np.object_]:
    """The first reason in `BY_SCORE` to reject each image; "" to accept it.

    Objects, not text of a fixed width, for other reasons are set later.
    """
    too_low = [(scores[name] < min_scores[name]).to_numpy() for name in ASKED]
    conditions = [scores["is_copy"].to_numpy(), *too_low]
    return np.select(conditions, BY_SCORE, default="").astype(object)
