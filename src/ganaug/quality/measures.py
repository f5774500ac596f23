"""Measurements on features: distances beside their floor, copying, and the closest pairs."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ganaug.images import Indices, Labels
from ganaug.quality.distances import FEWEST_IMAGES, measure, per_class
from ganaug.quality.features import Extractor, Features
from ganaug.quality.fragments import measure_fragments
from ganaug.quality.memorisation import measure_memorisation
from ganaug.quality.neighbours import FloatArray, as_they_stand, nearest
from ganaug.quality.parts import Parts
from ganaug.rng import numpy_rng
from ganaug.thumbnails import AXES, combine, flip

FLIPS = combine(AXES)  # a mirrored copy is a copy, whatever its label
FLIPPED_SPACE = "thumbnails"  # where flips cost nothing; a network would have to see each of them
FRAGMENTS = "fragments"
NUM_PAIRS = 16  # closest ones that are shown
MOST_IMAGES = 4096  # a side, of all classes together or for PRDC of a class; time is quadratic

Counts = NDArray[np.int64]  # [K]


def extract(extractor: Extractor, parts: Parts) -> dict[str, Features]:
    """Features [N, D] of each part."""
    return {name: extractor(part.data.images) for name, part in parts.items()}


def measure_distances(
    features: Mapping[str, Features], parts: Parts, classes: Sequence[str], *, seed: int
) -> dict[str, Any]:
    """Synthetic against test, and as the floor real train against test, at equal n.

    Returns:
        {"synthetic", "floor"}, each what `per_class` gives and, of the same metrics, "overall": one
        set a side, both with test's shares of the classes that have synthetic images enough. Of
        many images `MOST_IMAGES` are drawn, but for KID of a class.
    """
    labels = {name: part.data.labels for name, part in parts.items()}
    counts = {name: np.bincount(own, minlength=len(classes)) for name, own in labels.items()}
    # A class without synthetic images still gets its floor.
    limit = np.where(counts["synthetic"] > 0, counts["synthetic"], counts["train"])
    limit = np.minimum(limit, counts["train"]).clip(max=MOST_IMAGES)
    offered = counts["synthetic"] if counts["synthetic"].any() else counts["train"]
    numbers = _keep_shares(counts["test"], np.minimum(offered, counts["train"]))
    found = {}
    for name, other in (("synthetic", "synthetic"), ("floor", "train")):
        sides = features["test"], labels["test"], features[other], labels[other]
        found[name] = per_class(
            *sides, class_names=classes, seed=seed, max_prdc_images=limit.tolist()
        )
        pools = [
            features[part][_draw(labels[part], numbers, numpy_rng(seed, "overall", side))]
            for side, part in (("real", "test"), ("other", other))
        ]
        rng, most = numpy_rng(seed, "distances", 0), int(numbers.sum())
        found[name]["overall"] = measure(*pools, max_prdc_images=most, rng=rng)
    return found


def _keep_shares(test: Counts, available: Counts) -> Counts:
    """[K] images of each class, as many as can be had in test's shares; 0 of one too small.

    `MOST_IMAGES` in all at most, but for rounding.
    """
    most = np.minimum(test, available)
    enough = most >= FEWEST_IMAGES
    scale = (most[enough] / test[enough]).min(initial=MOST_IMAGES / max(1, test[enough].sum()))
    scale = min(1.0, scale)
    return np.where(enough, (scale * test).round(), 0).astype(np.int64)


def _draw(labels: Labels, numbers: Counts, rng: np.random.Generator) -> Indices:
    """Rows with so many of each class, in random order: FID looks at the first of them."""
    rows = [rng.permutation(np.flatnonzero(labels == c))[:n] for c, n in enumerate(numbers)]
    return rng.permutation(np.concatenate(rows))


def measure_copying(
    spaces: Mapping[str, Mapping[str, Features]], parts: Parts, *, declared: Indices, seed: int
) -> dict[str, dict[str, Any]]:
    """The gate in each space, and for fragments of images; nothing without synthetic images.

    Val and test are the hold-out. The training image that a synthetic one is declared to start from
    does not count for it; `declared` [M] is of `origins`. The flips of training images count in the
    space of thumbnails and for fragments; in others only images as they stand.
    """
    if parts["synthetic"].rows.empty:
        return {}
    groups = pd.factorize(parts["train"].rows["group_id"])[0].astype(np.int64)
    found = {
        space: measure_memorisation(
            features["synthetic"],
            features["train"],
            np.concatenate([features["val"], features["test"]]),
            groups=groups,
            variants=flipped_ways if space == FLIPPED_SPACE else as_they_stand,
            origins=declared,
        )
        for space, features in spaces.items()
    }
    synthetic, train = (parts[name].data.images for name in ("synthetic", "train"))
    found[FRAGMENTS] = measure_fragments(synthetic, train, groups, seed=seed, origins=declared)
    return found


def flipped_ways(small: FloatArray) -> list[FloatArray]:
    """Thumbnails [N, 256 C] in each of `FLIPS`."""
    return [flip(small, flips) for flips in FLIPS]


def describe_pairs(
    small: Mapping[str, Features], parts: Parts, *, declared: Indices
) -> list[dict[str, Any]]:
    """The synthetic images nearest to a training image in any flip, by image_id, nearest first.

    Args:
        small: `thumbnails` of "train" and "synthetic".
        parts: the rows of both.
        declared: [M] of `origins`: the training image that a synthetic one is declared to start
            from makes no pair.
    Returns:
        synthetic_id, train_id, distance and flip ("", "hflip", "vflip" or "hflip+vflip") of each.
    """
    found = [nearest(flip(small["synthetic"], way), small["train"], but=declared) for way in FLIPS]
    distances, rows = (np.stack(side) for side in zip(*found, strict=True))  # [ways, M]
    best = distances.argmin(axis=0)
    least = distances.min(axis=0)
    return [
        {
            "synthetic_id": parts["synthetic"].rows["image_id"].iloc[i],
            "train_id": parts["train"].rows["image_id"].iloc[rows[best[i], i]],
            "distance": float(least[i]),
            "flip": "+".join(FLIPS[best[i]]),
        }
        for i in np.argsort(least, kind="stable")[:NUM_PAIRS]
    ]
