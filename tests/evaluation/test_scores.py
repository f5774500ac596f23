import numpy as np
import pytest
from sklearn.metrics import f1_score, recall_score

from ganaug.evaluation.scores import class_recalls, macro_f1


@pytest.mark.parametrize("num_predicted", [1, 2, 4])
def test_scores_equal_scikit_learns(num_predicted):
    rng = np.random.default_rng(0)
    labels, predicted = rng.integers(0, 4, 50), rng.integers(0, num_predicted, 50)
    options = {"labels": range(4), "zero_division": 0}
    expected = f1_score(labels, predicted, average="macro", **options)
    assert macro_f1(labels, predicted, 4) == pytest.approx(expected)
    recalls = recall_score(labels, predicted, average=None, **options)
    assert class_recalls(labels, predicted, 4) == pytest.approx(recalls)


def test_a_class_without_images_or_predictions_counts_as_zero():
    labels = np.array([0, 0, 1])
    assert macro_f1(labels, labels, 3) == pytest.approx(2 / 3)
    assert class_recalls(labels, labels, 3) == [1, 1, 0]
