"""Measurements on features: distances beside their floor, copying, and the closest pairs."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from ganaug.evaluation.distances import per_class
from ganaug.evaluation.features import FeatureExtractor, Features
from ganaug.evaluation.inputs import Parts
from ganaug.evaluation.memorisation import measure_memorisation
from ganaug.evaluation.neighbours import closest_pairs
from ganaug.images import Pixels


def extract(extractor: Callable[[Pixels], Features], parts: Parts) -> dict[str, Features]:
    """Features [N, D] of each part."""
    return {name: extractor(part.data.images) for name, part in parts.items()}


def describe_extractor(extractor: FeatureExtractor) -> dict[str, Any]:
    """What stands beside every distance that it measured."""
    facts = {"name": extractor.name, "weights_sha256": extractor.weights_sha256}
    return {"extractor": facts}


def measure_distances(
    features: Mapping[str, Features],
    parts: Parts,
    classes: Sequence[str],
    *,
    seed: int,
) -> dict[str, Any]:
    """Synthetic against test, and as the floor real train against test, at equal n."""
    labels = {name: part.data.labels for name, part in parts.items()}
    counts = {name: np.bincount(own, minlength=len(classes)) for name, own in labels.items()}
    # A class without synthetic images still gets its floor.
    limit = np.where(counts["synthetic"] > 0, counts["synthetic"], counts["train"])
    limit = np.minimum(limit, counts["train"])
    return {
        name: per_class(
            features["test"],
            labels["test"],
            features[other],
            labels[other],
            class_names=classes,
            seed=seed,
            max_prdc_images=limit.tolist(),
        )
        for name, other in (("synthetic", "synthetic"), ("floor", "train"))
    }


def measure_copying(
    spaces: Mapping[str, Mapping[str, Features]],
    parts: Parts,
    *,
    confidence: float,
    seed: int,
) -> dict[str, dict[str, Any]]:
    """The gate in each space, val and test being the hold-out; nothing without synthetic images."""
    if parts["synthetic"].rows.empty:
        return {}
    holdout_labels = np.concatenate([parts[s].data.labels for s in ("val", "test")])
    return {
        space: measure_memorisation(
            features["synthetic"],
            features["train"],
            parts["train"].data.labels,
            np.concatenate([features["val"], features["test"]]),
            holdout_labels,
            confidence=confidence,
            seed=seed,
        )
        for space, features in spaces.items()
    }


def describe_pairs(
    features: Mapping[str, Features], train: pd.DataFrame, made: pd.DataFrame
) -> list[dict[str, Any]]:
    """The closest pairs by image_id, nearest first."""
    return [
        {
            "synthetic_id": made["image_id"].iloc[pair.synthetic],
            "train_id": train["image_id"].iloc[pair.train],
            "distance": pair.distance,
        }
        for pair in closest_pairs(features["synthetic"], features["train"])
    ]
