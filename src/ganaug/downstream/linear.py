"""The second kind of classifier: a linear layer on the features of a network that stays fixed.

Whether synthetic images help depends on who learns from them: a network that starts from nothing
can use them for what one that knows a million photographs has already. A logistic regression is
fitted until it converges, on several classically augmented views of each image; its strength is
chosen on val, fit by fit.

Axes: N images, V views, D features, K classes.
"""

import warnings
from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import replace
from functools import partial

import numpy as np
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from sklearn.dummy import DummyClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score

from ganaug.downstream.batches import row_weights
from ganaug.downstream.classical import ClassicalAugmentation
from ganaug.downstream.recipes import Recipe
from ganaug.images import Indices, Labels
from ganaug.quality.features import Extractor, Features
from ganaug.quality.parts import LabelledImages

STRENGTHS = (0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0)  # C: the inverse of the penalty; val chooses
FEATURE_RESOLUTION = 64  # px, of the images whose features are taken: 2.6 times as fast as 96
NUM_COMPONENTS = 192  # principal components that are kept: on elpv as good on val as all 1,280
VIEWS = {"train": 8, "synthetic": 2}  # of an image, the first as it is; val and test have one
MOST_VIEWS = 40_000  # of train, whose images have fewer each if they are many, but two
MOST_ITERATIONS = 2000
TOLERANCE = 1e-4  # of the largest gradient, where the fit ends
FAINT = 0.1  # of the mean deviation, added to each: features that hardly vary stay small

Views = NDArray[np.float32]  # [N, V, D]
Labelled = Mapping[str, LabelledImages]
Predictor = Callable[[Views], NDArray[np.float64]]  # of [N, V, D] views: [N, K]


def fit_linear(
    sets: Labelled, real: Indices, synthetic: Indices, *, recipe: Recipe, num_classes: int
) -> Predictor:
    """Fit on the rows that a repetition drew; the first view of an image is what it predicts by.

    A share of the batch becomes a share of the weight, see `row_weights`.

    Args:
        sets: views of "train", "synthetic" and "val".
        real: rows of the real training images that are used.
        synthetic: of the synthetic images that are used, if the recipe has a share of them.
        recipe: mixup, cutmix and soft labels mean nothing here; schedule "first" lowers the share.
        num_classes: K.
    """
    parts = [(sets["train"], real)]
    if recipe.share:
        parts.append((sets["synthetic"], synthetic))
    labels = np.concatenate([own.labels[rows] for own, rows in parts])
    weights = row_weights(labels, np.arange(len(labels)) >= len(real), recipe)
    used_views = slice(None if recipe.classical else 1)
    views = [own.images[rows, used_views] for own, rows in parts]
    x = np.concatenate([own.reshape(-1, own.shape[2]) for own in views])
    repeats = np.concatenate([np.full(len(own), own.shape[1]) for own in views])
    y, w = np.repeat(labels, repeats), np.repeat(weights / repeats, repeats)
    used = w > 0
    return _best_strength(x[used], y[used], w[used], val=sets["val"], num_classes=num_classes)


def _best_strength(
    x: Features, y: Labels, w: NDArray[np.float64], *, val: LabelledImages, num_classes: int
) -> Predictor:
    """The fit with the best macro-F1 on val; of equals the strongest penalty."""
    if len(np.unique(y)) == 1:  # synthetic images alone, of one class
        return partial(_predict, DummyClassifier().fit(x, y), num_classes)
    model = LogisticRegression(warm_start=True, max_iter=MOST_ITERATIONS, tol=TOLERANCE)
    best, found = -1.0, model
    for strength in STRENGTHS:  # each starts from the one before: a path costs little more than one
        model.set_params(C=strength)
        with warnings.catch_warnings():
            warnings.simplefilter("error", ConvergenceWarning)
            model.fit(x, y, sample_weight=w)
        predicted = _predict(model, num_classes, val.images).argmax(axis=1)
        score = f1_score(
            val.labels, predicted, labels=range(num_classes), average="macro", zero_division=0
        )
        if score > best:
            best, found = score, deepcopy(model)  # a warm start changes the model itself
    return partial(_predict, found, num_classes)


def _predict(
    model: LogisticRegression | DummyClassifier, num_classes: int, views: Views
) -> NDArray[np.float64]:
    """Class probabilities [N, K] by the first view of each image."""
    probabilities = np.zeros((len(views), num_classes))
    if len(views):
        probabilities[:, model.classes_] = model.predict_proba(views[:, 0])
    return probabilities


def num_views(part: str, num_images: int) -> int:
    """Of each image of a part that has so many."""
    most = VIEWS.get(part, 1)
    return max(2, min(most, MOST_VIEWS // num_images)) if part == "train" else most


def view_sets(
    images: Labelled, extractor: Extractor, augment: ClassicalAugmentation
) -> dict[str, LabelledImages]:
    """What the linear classifier sees: views [N, V, D] of each part's images.

    Each feature has mean 0 and deviation 1 on train; then the leading principal components of
    train are kept, as they are.
    """
    plain = {name: extractor(part.images) for name, part in images.items()}
    mean, spread = plain["train"].mean(axis=0), plain["train"].std(axis=0)
    spread += FAINT * spread.mean()
    num = min(NUM_COMPONENTS, *plain["train"].shape)
    components = PCA(num, svd_solver="covariance_eigh").fit((plain["train"] - mean) / spread)
    axes = components.components_.T / np.sqrt(components.n_components_)

    def project(own: Features) -> Features:
        projected: Features = (((own - mean) / spread) @ axes).astype(np.float32)
        return projected

    sets = {}
    for name, part in images.items():
        views = [project(plain.pop(name))]
        if len(part.images):  # one at a time: the features of all views would fill the memory
            again = range(1, num_views(name, len(part.images)))
            views += [project(extractor(augment(part.images))) for _ in again]
        sets[name] = replace(part, images=np.stack(views, axis=1))
    return sets
