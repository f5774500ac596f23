"""What the trainer measures on samples: distance to val, and diversity within each class."""

from collections.abc import Callable, Sequence

import numpy as np

from ganaug.gan.guards import DIVERSITY
from ganaug.images import Labels, Pixels
from ganaug.quality.distances import kid, per_class
from ganaug.quality.features import Extractor, Features
from ganaug.quality.neighbours import distances_between, spread_out

MOST_IMAGES = 8192  # real ones that are measured against; of more at most as many of each class


def validation_score(
    extractor: Extractor, images: Pixels, labels: Labels, *, class_names: Sequence[str], seed: int
) -> Callable[[Pixels, Labels], dict[str, float]]:
    """What measures samples [M, H, W, C] uint8 with labels [M] against the real val images.

    Args:
        extractor: images to features.
        images: [N, H, W, C] uint8, the val split; of many a sample is taken, evenly spaced.
        labels: [N] int64.
        class_names: what labels index.
        seed: of the PRDC subsamples.
    Returns:
        A function that gives "kid" (mean over classes, so that a rare class weighs as much as a
        common one; this one chooses the snapshot), "kid_overall", "precision", "recall", "density",
        "coverage" (means over classes), and per class "class_kid/<class>", "class_recall/<class>",
        "class_coverage/<class>" and "class_diversity/<class>": mean pairwise feature distance
        relative to the real class, 1 being as varied as real.
    """
    if len(images) > MOST_IMAGES:
        each = max(1, MOST_IMAGES // len(class_names))
        rows = [np.flatnonzero(labels == c) for c in range(len(class_names))]
        chosen = np.concatenate([own[spread_out(len(own), each)] for own in rows])
        images, labels = images[chosen], labels[chosen]
    real = extractor(images)
    spreads = [_mean_distance(real[labels == c]) for c in range(len(class_names))]

    def score(samples: Pixels, asked: Labels) -> dict[str, float]:
        features = extractor(samples)
        measured = per_class(real, labels, features, asked, class_names=class_names, seed=seed)
        overall = kid(real, features)
        means = {k: v for k, v in measured["class_mean"].items() if k != "num_classes"}
        mean = means["kid"] if means["kid"] is not None else overall
        values = {**means, "kid": mean, "kid_overall": overall}
        for label, name in enumerate(class_names):
            for metric in ("kid", "recall", "coverage"):
                values[f"class_{metric}/{name}"] = measured["classes"][name][metric]
            spread = _mean_distance(features[asked == label])
            if spread is not None and (reference := spreads[label]):
                values[f"{DIVERSITY}{name}"] = spread / reference
        return {name: float(value) for name, value in values.items() if value is not None}

    return score


def _mean_distance(features: Features) -> float | None:
    """Between two images in feature space; None below two images."""
    number = len(features)
    if number < 2:
        return None
    return float(distances_between(features, features).sum() / (number * (number - 1)))
