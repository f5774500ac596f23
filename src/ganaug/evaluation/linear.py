"""The second kind of classifier: a linear layer on the features of a network that stays fixed.

Whether synthetic images help depends on who learns from them: a network that starts from nothing
can use them for what one that knows a million photographs has already. Features cost more than
the layer, so each training image has them computed twice, as it is and classically augmented, and
a batch takes the one or the other.

Axes: N images, V views, D features.
"""

from collections import OrderedDict
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from torch import nn

from ganaug.evaluation.classifier import Rows
from ganaug.evaluation.features import Features
from ganaug.rng import numpy_rng

TINY = 1e-6  # a feature that never varies stays 0


def linear(shape: tuple[int, ...], num_classes: int) -> nn.Sequential:
    """A new classifier for rows [V, D]: one view an image, [N, 1, D] -> [N, K] logits."""
    layers = {"flatten": nn.Flatten(), "head": nn.Linear(shape[1], num_classes)}
    return nn.Sequential(OrderedDict(layers))


def as_they_are(views: Rows) -> Rows:
    """The first of the views of each image, [N, V, D] -> [N, 1, D]."""
    return views[:, :1]


class RandomView:
    """Any of the views of each image, [N, V, D] -> [N, 1, D]; each call goes on in one stream."""

    def __init__(self, *, seed: int) -> None:
        self._rng = numpy_rng(seed, "views")

    def __call__(self, views: Rows) -> Rows:
        chosen = self._rng.integers(views.shape[1], size=len(views))
        return views[np.arange(len(views)), chosen][:, None]


def standardised_views(
    views: Mapping[str, Sequence[Features]],
) -> dict[str, NDArray[np.float32]]:
    """Views [N, D] by part -> [N, V, D] by part, with mean 0 and length about 1 on train.

    Adam moves all D weights at once: longer rows would throw a logit about at every step.
    """
    plain = views["train"][0]
    mean, spread = plain.mean(axis=0), plain.std(axis=0) * plain.shape[1] ** 0.5 + TINY
    return {name: (np.stack(many, axis=1) - mean) / spread for name, many in views.items()}
