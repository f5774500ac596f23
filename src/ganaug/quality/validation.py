"""What the trainer measures on samples: distance to val, and diversity within each class."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ganaug.gan.guards import DIVERSITY
from ganaug.images import Pixels
from ganaug.quality.distances import kid, per_class
from ganaug.quality.features import FeatureExtractor, Features


class ValidationScore:
    """Measures samples against the real val images.

    Args:
        extractor: images to features.
        images: [N, H, W, C] uint8, the val split.
        labels: [N] int64.
        class_names: what labels index.
        seed: of the PRDC subsamples.
    """

    def __init__(
        self,
        extractor: FeatureExtractor,
        images: Pixels,
        labels: NDArray[np.int64],
        *,
        class_names: Sequence[str],
        seed: int,
    ) -> None:
        self._extractor = extractor
        self._features = extractor(images)
        self._labels = labels
        self._class_names = class_names
        self._seed = seed
        self._spread = class_spreads(self._features, labels, len(class_names))

    def __call__(self, images: Pixels, labels: NDArray[np.int64]) -> dict[str, float]:
        """Metrics of samples [M, H, W, C] uint8 with labels [M].

        Returns:
            "kid" (mean over classes, so that a rare class weighs as much as a common one; this one
            chooses the snapshot), "kid_overall", "precision", "recall", "density", "coverage"
            (means over classes), and per class "class_kid/<class>", "class_recall/<class>",
            "class_coverage/<class>" and "class_diversity/<class>": mean pairwise feature distance
            relative to the real class, 1 being as varied as real.
        """
        features = self._extractor(images)
        measured = per_class(
            self._features,
            self._labels,
            features,
            labels,
            class_names=self._class_names,
            seed=self._seed,
        )
        overall = kid(self._features, features)
        means = {k: v for k, v in measured["class_mean"].items() if k != "num_classes"}
        values = {**means, "kid": means["kid"] if means["kid"] is not None else overall}
        values["kid_overall"] = overall
        spreads = class_spreads(features, labels, len(self._class_names))
        for label, name in enumerate(self._class_names):
            for metric in ("kid", "recall", "coverage"):
                values[f"class_{metric}/{name}"] = measured["classes"][name][metric]
            values[f"{DIVERSITY}{name}"] = _ratio(spreads[label], self._spread[label])
        return {name: float(value) for name, value in values.items() if value is not None}


def class_spreads(
    features: Features, labels: NDArray[np.int64], num_classes: int
) -> list[float | None]:
    """Mean distance between two images of a class in feature space; None below two images."""
    return [_mean_distance(features[labels == label]) for label in range(num_classes)]


def _mean_distance(features: Features) -> float | None:
    if len(features) < 2:
        return None
    x = features.astype(np.float64)
    norms = (x * x).sum(axis=1)
    squared = np.maximum(norms[:, None] + norms[None] - 2 * x @ x.T, 0)
    return float(np.sqrt(squared).sum() / (len(x) * (len(x) - 1)))


def _ratio(value: float | None, reference: float | None) -> float | None:
    return None if value is None or not reference else value / reference
