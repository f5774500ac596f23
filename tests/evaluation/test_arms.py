import math

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.metrics import f1_score, recall_score

from ganaug.evaluation import arms
from ganaug.evaluation.arms import (
    ARMS,
    DRAWN,
    FIT_SECONDS,
    LabelledImages,
    Recipe,
    Run,
    draw_rows,
    score_runs,
    scores,
    train_arm,
)
from ganaug.evaluation.classifier import predict, small_cnn
from tests.evaluation.toy_synthetic import new_images
from tests.publishing.small_run import CLASSICAL

CLASSES = ("left", "right")
RECIPE = Recipe(3, 8, 0.01, class_names=CLASSES, symmetries=("vflip",), classical=CLASSICAL)
RUNS = [Run("cnn", arm, seed, 1.0) for arm in ARMS for seed in (0, 1)]


def labelled(seed, *, number=32):
    images, labels = new_images(seed)
    weights = np.ones(number, np.float32)
    return LabelledImages(np.stack(images)[:number], np.array(labels)[:number], weights)


def views(part, *, number):
    """The same as rows of `linear`: views of the pixels."""
    flat = part.images.reshape(len(part.images), 1, -1) / np.float32(255)
    return LabelledImages(flat.repeat(number, axis=1), part.labels, part.weights)


SETS = {"cnn": {name: labelled(seed) for seed, name in enumerate(("train", "synthetic"))}}
SETS["cnn"] |= {"val": labelled(2), "test": labelled(3)}
SETS["linear"] = {
    name: views(part, number=2 if name in ("train", "synthetic") else 1)
    for name, part in SETS["cnn"].items()
}


def score(runs, *, splits=("val", "test"), num_workers=1):
    return score_runs(runs, SETS, splits, recipe=RECIPE, seed=0, num_workers=num_workers)


@pytest.fixture(scope="module")
def scored():
    return score(RUNS)


def test_every_run_is_scored_on_every_split_in_the_order_asked_for(scored):
    assert len(scored) == len(RUNS) * 2
    assert scored["arm"].unique().tolist() == list(ARMS)
    assert scored.iloc[:4][["seed", "split"]].values.tolist() == [
        [0, "val"], [0, "test"], [1, "val"], [1, "test"],
    ]  # fmt: skip
    assert scored["macro_f1"].between(0, 1).all()
    assert scored[["recall/left", "recall/right"]].notna().all(axis=None)


def test_workers_change_no_number(scored):
    runs = [run for run in RUNS if run.seed == 0]
    alone = scored[scored["seed"] == 0].reset_index(drop=True)
    together = score(runs, num_workers=2)
    assert (together.pop(FIT_SECONDS) > 0).all()
    pd.testing.assert_frame_equal(together, alone.drop(columns=FIT_SECONDS))


def test_only_the_splits_asked_for_are_scored(capsys):
    found = score([Run("linear", "D", 0, 0.5)], splits=["val"])
    assert found["split"].tolist() == ["val"]
    assert found["ratio"].tolist() == [0.5]
    assert "evaluate: 1/1 classifiers" in capsys.readouterr().err


def test_the_number_of_threads_is_left_as_it_was():
    before = torch.get_num_threads()
    score(RUNS[:1])
    assert torch.get_num_threads() == before


def test_a_fraction_keeps_its_share_of_each_class_and_grows_by_adding():
    labels = np.repeat([0, 1], [30, 10])
    few, more = (draw_rows(labels, share, rng=np.random.default_rng(0)) for share in (0.1, 0.5))
    assert np.bincount(labels[few]).tolist() == [3, 1]
    assert np.bincount(labels[more]).tolist() == [15, 5]
    assert set(few) < set(more)
    assert draw_rows(labels, 1, rng=np.random.default_rng(0)).tolist() == list(range(40))
    assert draw_rows(labels, 0.5, rng=np.random.default_rng(1)).tolist() != more.tolist()


def used_by(run, monkeypatch):
    """What a run hands to the trainer."""
    calls = {}
    monkeypatch.setattr(arms, "train_classifier", lambda *_, **options: calls.update(options))
    train_arm(run, SETS[run.network], recipe=RECIPE, seed=0)
    return calls


@pytest.mark.parametrize(
    ("arm", "balanced", "classical", "share"),
    [
        ("A", False, False, None),
        ("B", False, True, None),
        ("B'", True, True, None),
        ("C", False, False, 1 / 3),
        ("D", False, True, 1 / 3),
        ("E", False, True, 1.0),
    ],
)
def test_arms_differ_in_their_images_only(arm, balanced, classical, share, monkeypatch):
    options = used_by(Run("cnn", arm, 0, ratio=0.5), monkeypatch)
    assert options["network"] is small_cnn
    assert options["class_balanced"] is balanced
    assert (options["augment"] is not None) is classical
    pool = options["synthetic"]
    assert (pool.batch_fraction if pool else None) == share
    same = ("num_steps", "batch_size", "lr", "num_classes")
    assert [options[key] for key in same] == [3, 8, 0.01, 2]
    assert options["seed"] == used_by(Run("linear", "A", 0, 1), monkeypatch)["seed"]
    assert (
        options["rows"].tolist() == used_by(Run("linear", "A", 0, 1), monkeypatch)["rows"].tolist()
    )


def test_each_repetition_draws_its_own_images_of_both_kinds(monkeypatch):
    def drawn(seed, fraction=1.0):
        options = used_by(Run("cnn", "D", seed, 1, fraction=fraction), monkeypatch)
        return options["rows"], options["synthetic"].rows

    for one, other, name in zip(drawn(0), drawn(1), ("train", "synthetic"), strict=True):
        labels = SETS["cnn"][name].labels
        most = [math.ceil(DRAWN * n) for n in np.bincount(labels)]
        assert np.bincount(labels[one]).tolist() == most
        assert one.tolist() != other.tolist()
    assert set(drawn(0, fraction=0.25)[0]) < set(drawn(0)[0])


def test_weights_of_synthetic_images_reach_the_loss():
    made = SETS["cnn"]["synthetic"]
    light = LabelledImages(made.images, made.labels, made.weights / 10)
    first, second = (
        train_arm(
            Run("cnn", "C", 0, 1.0),
            SETS["cnn"] | {"synthetic": pool},
            recipe=RECIPE,
            seed=0,
        )
        for pool in (made, light)
    )
    assert (predict(first, made.images) != predict(second, made.images)).any()


@pytest.mark.parametrize("num_predicted", [1, 2, 4])
def test_scores_equal_scikit_learns(num_predicted):
    rng = np.random.default_rng(0)
    labels, predicted = rng.integers(0, 4, 50), rng.integers(0, num_predicted, 50)
    options = {"labels": range(4), "zero_division": 0}
    f1, recalls = scores(labels, predicted, 4)
    assert f1 == pytest.approx(f1_score(labels, predicted, average="macro", **options))
    expected = recall_score(labels, predicted, average=None, **options)
    assert recalls == pytest.approx(expected)


def test_a_class_without_images_or_predictions_counts_as_zero():
    labels = np.array([0, 0, 1])
    f1, recalls = scores(labels, labels, 3)
    assert f1 == pytest.approx(2 / 3)
    assert recalls == [1, 1, 0]
