"""What the trainer logs about samples, with two numbers an image in place of a network."""

import numpy as np
import pytest

from ganaug.quality.validation import validation_score

NUM = 40  # images of a class


@pytest.fixture
def score():
    """Of real images whose class `flat` is as varied as `deep`."""
    images, labels = _images(spread=(100, 100))
    return validation_score(_mean_of_columns, images, labels, class_names=("flat", "deep"), seed=0)


def _images(spread):
    rng = np.random.default_rng(0)
    images = [rng.integers(100, 100 + width, (NUM, 4, 4, 1)) for width in spread]
    return np.concatenate(images).astype(np.uint8), np.repeat([0, 1], NUM)


def _mean_of_columns(images):
    return images.mean(axis=(1, 3)) / 255


def test_a_collapsed_class_shows_itself_while_the_other_does_not(score):
    values = score(*_images(spread=(2, 100)))
    assert values["class_recall/flat"] == 0
    assert values["class_coverage/flat"] < 0.1
    assert values["class_diversity/flat"] < 0.1
    assert values["class_recall/deep"] == values["class_coverage/deep"] == 1
    for name in ("recall", "coverage"):
        classes = [values[f"class_{name}/flat"], values[f"class_{name}/deep"]]
        assert values[name] == pytest.approx(np.mean(classes))


def test_of_many_images_as_many_of_each_class_are_measured(monkeypatch):
    seen = []

    def extractor(images):
        seen.append(images)
        return _mean_of_columns(images)

    images, labels = _images(spread=(100, 100))
    images, labels = images[:50], labels[:50]  # of one class 40, of the other 10
    monkeypatch.setattr("ganaug.quality.validation.MOST_IMAGES", 40)
    score = validation_score(extractor, images, labels, class_names=("flat", "deep"), seed=0)
    chosen = np.linspace(0, 39, 20).astype(int)
    np.testing.assert_array_equal(seen[0], np.concatenate([images[:40][chosen], images[40:]]))
    assert score(*_images(spread=(100, 100)))["class_coverage/deep"] > 0.5


def test_a_class_too_small_to_measure_is_left_out(score):
    images, labels = _images(spread=(100, 100))
    values = score(images[NUM - 4 :], labels[NUM - 4 :])
    assert {name for name in values if name.startswith("class_recall")} == {"class_recall/deep"}
