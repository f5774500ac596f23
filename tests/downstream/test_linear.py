import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score
from threadpoolctl import threadpool_limits

from ganaug.downstream import linear
from ganaug.downstream.classical import ClassicalAugmentation
from ganaug.downstream.linear import STRENGTHS, VIEWS, fit_linear, num_views, view_sets
from ganaug.downstream.recipes import Recipe
from ganaug.quality.parts import LabelledImages
from tests.publishing.small_run import CLASSICAL

COUNTS = (30, 12, 6)


@pytest.fixture(autouse=True)
def _one_thread():
    with threadpool_limits(1):
        yield


def labelled(images, labels):
    return LabelledImages(images, np.asarray(labels))


def features(counts=COUNTS, *, seed=0, views=1):
    """[N, V, 5] in which the classes overlap, each with a mean of its own; views are noisy."""
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(len(counts)), counts)
    means = np.random.default_rng(99).normal(0, 1.2, (len(counts), 5))
    x = rng.normal(means[labels], 1)[:, None] + rng.normal(0, 0.3, (len(labels), views, 5))
    return labelled(x.astype(np.float32), labels)


SETS = {
    "train": features(views=3),
    "synthetic": features((9, 6, 12), seed=1, views=2),
    "val": features((10, 10, 10), seed=2),
}
ROWS = np.flatnonzero(np.arange(sum(COUNTS)) % 5 != 0)
MADE = np.arange(2, 27)
TEST = features((20, 20, 20), seed=3).images


def fit(sets=SETS, *, rows=ROWS, made=MADE, num_classes=3, **recipe):
    return fit_linear(sets, rows, made, recipe=Recipe(**recipe), num_classes=num_classes)


def on_val(probabilities):
    return f1_score(SETS["val"].labels, probabilities.argmax(axis=1), average="macro")


@pytest.mark.parametrize("balanced", [False, True])
def test_without_synthetic_images_it_is_scikit_learns_own_fit(balanced, monkeypatch):
    monkeypatch.setattr(linear, "TOLERANCE", 1e-6)
    x, y = SETS["train"].images[ROWS, 0], SETS["train"].labels[ROWS]
    weight = "balanced" if balanced else None
    path = [
        LogisticRegression(C=c, class_weight=weight, max_iter=9999, tol=1e-6).fit(x, y)
        for c in STRENGTHS
    ]
    best = max(path, key=lambda m: on_val(m.predict_proba(SETS["val"].images[:, 0])))
    found = fit(classical=False, balanced=balanced)(TEST)
    np.testing.assert_allclose(found, best.predict_proba(TEST[:, 0]), atol=1e-3)


def test_the_strength_is_the_best_on_val_of_the_path(monkeypatch):
    recipe = {"share": 0.5, "weight": 0.3}
    best = on_val(fit(**recipe)(SETS["val"].images))
    each = []
    for strength in STRENGTHS:
        monkeypatch.setattr(linear, "STRENGTHS", (strength,))
        each.append(on_val(fit(**recipe)(SETS["val"].images)))
    assert best == pytest.approx(max(each))
    assert best > min(each)


def weights_of(monkeypatch, sets=SETS, **recipe):
    """Weights as the fit gets them, summed by part (real, synthetic) and class."""
    seen = {}

    def spy(x, y, w, **_):
        real = np.isin(x[:, 0], sets["train"].images[:, :, 0])
        counts = [np.bincount(y[own], w[own], minlength=3) for own in (real, ~real)]
        seen.update(sums=np.array(counts), number=len(x))

    monkeypatch.setattr(linear, "_best_strength", spy)
    fit(sets, **recipe)
    return seen["sums"], seen["number"]


@pytest.mark.parametrize("classical", [False, True])
def test_balanced_weights_sum_equally_over_classes(classical, monkeypatch):
    n = len(ROWS)
    (real, made), number = weights_of(monkeypatch, classical=classical)
    np.testing.assert_allclose(real, n / 3)
    assert (made.sum(), number) == (0, n * (3 if classical else 1))
    (real, _), _ = weights_of(monkeypatch, classical=classical, balanced=False)
    np.testing.assert_allclose(real, np.bincount(SETS["train"].labels[ROWS]))


@pytest.mark.parametrize("balanced", [False, True])
def test_a_share_moves_weight_to_synthetic_rows_within_each_class(balanced, monkeypatch):
    (alone, _), _ = weights_of(monkeypatch, balanced=balanced)
    for share, weight in ((0.2, 1), (0.5, 1), (0.5, 0.3)):
        recipe = {"share": share, "weight": weight, "balanced": balanced}
        (real, made), _ = weights_of(monkeypatch, **recipe)
        np.testing.assert_allclose(real + made, alone)
        np.testing.assert_allclose(made / real, share * weight / (1 - share))


def test_a_class_without_synthetic_rows_keeps_its_real_weight(monkeypatch):
    sets = SETS | {"synthetic": features((15, 15), seed=1, views=2)}
    (alone, _), _ = weights_of(monkeypatch, sets)
    (real, made), _ = weights_of(monkeypatch, sets, share=0.5)
    np.testing.assert_allclose(real, alone * [0.5, 0.5, 1])
    np.testing.assert_allclose(made, alone * [0.5, 0.5, 0])
    (real, made), _ = weights_of(monkeypatch, sets, real=False, share=1.0)
    np.testing.assert_allclose(real, 0)
    np.testing.assert_allclose(made, alone.sum() * np.array([0.5, 0.5, 0]))


def test_only_the_rows_that_were_drawn_count():
    def spoilt(part, rows):
        images = np.full_like(part.images, 1e3)
        images[rows] = part.images[rows]
        return labelled(images, part.labels)

    sets = SETS | {
        name: spoilt(SETS[name], rows) for name, rows in (("train", ROWS), ("synthetic", MADE))
    }
    np.testing.assert_array_equal(fit(sets, share=0.5)(TEST), fit(share=0.5)(TEST))


def test_equal_views_weigh_as_one_and_prediction_takes_the_first():
    one = {name: labelled(part.images[:, :1], part.labels) for name, part in SETS.items()}
    four = {
        name: labelled(part.images.repeat(4, axis=1), part.labels) for name, part in one.items()
    }
    found = fit(four, share=0.5)(TEST)
    np.testing.assert_allclose(found, fit(one, share=0.5)(TEST), atol=0.01)
    more = np.concatenate([TEST, TEST + 100], axis=1)
    np.testing.assert_array_equal(fit(four, share=0.5)(more), found)


def test_a_class_missing_from_train_gets_no_probability():
    sets = SETS | {"train": features((20, 0, 10))}
    probabilities = fit(sets, rows=np.arange(30), num_classes=4, share=0.5)(TEST)
    assert probabilities.shape == (60, 4)
    assert (probabilities[:, [1, 3]] == 0).all()
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)
    assert fit()(TEST[:0]).shape == (0, 3)


def shifted(images):
    """An extractor of features: some sums over the pixels, one that never varies."""
    flat = images.reshape(len(images), 64).astype(np.float32)
    axes = np.random.default_rng(0).normal(size=(64, 6))
    return np.concatenate([flat @ axes, np.ones((len(flat), 1))], axis=1).astype(np.float32) + 3


def views(*, seed=0, synthetic=5):
    def part(number, seed):
        images = np.random.default_rng(seed).integers(0, 256, (number, 8, 8, 1), dtype=np.uint8)
        return labelled(images, np.zeros(number, np.int64))

    parts = {"train": part(40, 1), "synthetic": part(synthetic, 2), "val": part(40, 1)}
    augment = ClassicalAugmentation(("hflip",), CLASSICAL, seed=seed)
    return view_sets(parts, shifted, augment)


def test_the_first_view_is_the_plain_one_and_train_sets_the_scale():
    found = views()
    numbers = {name: part.images.shape[:2] for name, part in found.items()}
    assert numbers == {"train": (40, VIEWS["train"]), "synthetic": (5, 2), "val": (40, 1)}
    plain = found["train"].images[:, 0]
    np.testing.assert_array_equal(plain, found["val"].images[:, 0])  # the same images
    assert all((found["train"].images[:, v] != plain).any() for v in range(1, VIEWS["train"]))
    np.testing.assert_allclose(plain.mean(axis=0), 0, atol=1e-5)
    assert np.isfinite(plain).all()
    assert 0.3 < (plain**2).sum(axis=1).mean() < 1.5  # as the strengths expect it


def test_many_images_have_fewer_views_each(monkeypatch):
    monkeypatch.setattr("ganaug.downstream.linear.MOST_VIEWS", 130)
    found = views()
    assert found["train"].images.shape[1] == 130 // 40
    np.testing.assert_array_equal(found["train"].images[:, 0], found["val"].images[:, 0])
    assert [num_views("train", number) for number in (1, 64, 66, 1000)] == [8, 2, 2, 2]
    assert [num_views(part, 1000) for part in ("synthetic", "val")] == [2, 1]


def test_views_are_drawn_from_the_seed_alone():
    first, again, other = views(), views(), views(seed=1)
    for name in first:
        np.testing.assert_array_equal(first[name].images, again[name].images)
    assert (first["train"].images != other["train"].images).any()
    np.testing.assert_array_equal(first["val"].images, other["val"].images)


def test_no_synthetic_images_have_views_of_the_same_width():
    found = views(synthetic=0)
    assert (len(found["synthetic"].images), found["synthetic"].images.ndim) == (0, 3)
    assert found["synthetic"].images.shape[2] == found["train"].images.shape[2]
