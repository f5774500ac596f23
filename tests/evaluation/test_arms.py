import numpy as np
import pandas as pd
import pytest
import torch

from ganaug.evaluation import arms
from ganaug.evaluation.arms import ARMS, LabelledImages, Recipe, run_arms, train_arm
from ganaug.evaluation.classifier import predict
from tests.evaluation.toy_synthetic import new_images

CLASSES = ("left", "right")
RECIPE = Recipe(num_steps=3, batch_size=8, lr=0.01, synthetic_fraction=0.5, symmetries=("vflip",))


def labelled(seed, *, number=32):
    images, labels = new_images(seed)
    weights = np.ones(number, np.float32)
    return LabelledImages(np.stack(images)[:number], np.array(labels)[:number], weights)


def run(*, synthetic=None, num_workers=1, num_seeds=2, **options):
    made = labelled(3) if synthetic is None else synthetic
    splits = {"val": labelled(1), "test": labelled(2)}
    options = {"class_names": CLASSES, "recipe": RECIPE, "seed": 0} | options
    return run_arms(
        labelled(0), made, splits, num_seeds=num_seeds, num_workers=num_workers, **options
    )


@pytest.fixture(scope="module")
def runs():
    return run()


def test_every_arm_is_scored_on_both_splits_with_every_seed(runs):
    assert len(runs) == len(ARMS) * 2 * 2
    assert runs["arm"].unique().tolist() == list(ARMS)
    assert runs.iloc[:4][["seed", "split"]].values.tolist() == [
        [0, "val"], [0, "test"], [1, "val"], [1, "test"],
    ]  # fmt: skip
    recalls = runs[["recall/left", "recall/right"]]
    assert runs["macro_f1"].between(0, 1).all()
    assert recalls.notna().all(axis=None)


def test_workers_change_no_number(runs):
    alone = runs[runs["seed"] == 0].reset_index(drop=True)
    pd.testing.assert_frame_equal(run(num_workers=2, num_seeds=1), alone)


def test_the_number_of_threads_is_left_as_it_was():
    before = torch.get_num_threads()
    run(num_seeds=1)
    assert torch.get_num_threads() == before


def test_without_synthetic_images_only_real_arms_run(capsys):
    found = run(synthetic=labelled(0, number=0), num_seeds=1)
    assert found["arm"].unique().tolist() == ["A", "B", "B'"]
    assert "evaluate: 3/3 classifiers" in capsys.readouterr().err


def used_by(arm, monkeypatch):
    """What an arm hands to the trainer."""
    calls = {}
    monkeypatch.setattr(arms, "train_classifier", lambda *a, **options: calls.update(options))
    train_arm(ARMS[arm], labelled(0), labelled(3), num_classes=2, recipe=RECIPE, seed=0)
    return calls


@pytest.mark.parametrize(
    ("arm", "balanced", "classical", "fraction"),
    [
        ("A", False, False, None),
        ("B", False, True, None),
        ("B'", True, True, None),
        ("C", False, False, 0.5),
        ("D", False, True, 0.5),
        ("E", False, True, 1.0),
    ],
)
def test_arms_differ_in_their_images_only(arm, balanced, classical, fraction, monkeypatch):
    options = used_by(arm, monkeypatch)
    assert options["class_balanced"] is balanced
    assert (options["augment"] is not None) is classical
    pool = options["synthetic"]
    assert (pool.batch_fraction if pool else None) == fraction
    same = ("num_steps", "batch_size", "lr", "seed", "num_classes")
    assert [options[key] for key in same] == [3, 8, 0.01, 0, 2]


def test_weights_of_synthetic_images_reach_the_loss():
    made = labelled(3)
    light = LabelledImages(made.images, made.labels, made.weights / 10)
    first, second = (
        train_arm(ARMS["C"], labelled(0), pool, num_classes=2, recipe=RECIPE, seed=0)
        for pool in (made, light)
    )
    assert (predict(first, made.images) != predict(second, made.images)).any()
