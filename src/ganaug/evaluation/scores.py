"""How well predictions fit: recall per class and macro-F1."""

import numpy as np
from numpy.typing import NDArray

Labels = NDArray[np.int64]


def macro_f1(labels: Labels, predicted: Labels, num_classes: int) -> float:
    """Mean over all classes of 2 TP / (2 TP + FP + FN), 0..1; 0 for a class that has neither."""
    table = _confusion(labels, predicted, num_classes)
    return float((2 * np.diag(table) / np.maximum(table.sum(0) + table.sum(1), 1)).mean())


def class_recalls(labels: Labels, predicted: Labels, num_classes: int) -> list[float]:
    """Share of each class's images that are recognised, 0..1; 0 for a class without images."""
    table = _confusion(labels, predicted, num_classes)
    recalls: list[float] = (np.diag(table) / np.maximum(table.sum(1), 1)).tolist()
    return recalls


def _confusion(labels: Labels, predicted: Labels, num_classes: int) -> Labels:
    """Images by [true class, predicted class]."""
    pairs = np.bincount(labels * num_classes + predicted, minlength=num_classes**2)
    return pairs.reshape(num_classes, num_classes)
