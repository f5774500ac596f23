import math
from dataclasses import replace
from functools import partial

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.metrics import f1_score, recall_score

from ganaug.downstream import runs as module
from ganaug.downstream.recipes import ARMS, TEACHER, Recipe
from ganaug.downstream.runs import (
    DRAWN,
    NETWORKS,
    Run,
    draw_rows,
    fit,
    fit_network,
    score_runs,
    scores,
)
from ganaug.downstream.setting import Setting
from ganaug.parallel import map_unordered, one_thread
from ganaug.quality.parts import LabelledImages
from tests.publishing.small_run import CLASSICAL
from tests.toy_synthetic import new_images

CLASSES = ("left", "right")
SETTING = Setting(3, 8, 0.01, CLASSES, ("vflip",), CLASSICAL, seed=0)
MIXED = Recipe(share=0.5, mixup=True)
RUNS = [Run("cnn", recipe, 0) for recipe in [*ARMS.values(), MIXED]]
RUNS += [Run("linear", recipe, number) for recipe in (TEACHER, ARMS["D"]) for number in (1, 0)]


def labelled(seed):
    images, labels = new_images(seed)
    return LabelledImages(np.stack(images), np.array(labels))


def views(part, *, number):
    """The same as rows of `linear`: views of the pixels."""
    flat = part.images[:, ::4, ::4].reshape(len(part.images), 1, -1) / np.float32(255)
    return replace(part, images=flat.repeat(number, axis=1))


CNN = {name: labelled(seed) for seed, name in enumerate(("train", "synthetic", "val", "test"))}
LINEAR = {name: views(part, number=2) for name, part in CNN.items()}
SETS = {"cnn": CNN, "linear": LINEAR}
SOFT = {name: np.full((32, 2), 0.5) for name in ("train", "synthetic")}


def score(runs, *, splits=("val", "test"), sets=SETS, setting=SETTING, map_tasks=map):
    runs = [replace(run, scored=tuple(splits)) for run in runs]
    return score_runs(runs, sets, setting=setting, map_tasks=map_tasks)


@pytest.fixture(scope="module")
def scored():
    return score(RUNS)


def test_every_run_has_a_row_a_split_in_the_order_asked_for(scored):
    expected = [
        (run.network, run.recipe.name, run.repetition, split)
        for run in RUNS
        for split in ("val", "test")
    ]
    keys = scored[["network", "recipe", "repetition", "split"]]
    assert list(keys.itertuples(index=False, name=None)) == expected
    assert (scored["seconds"] > 0).all()


def test_the_rows_hold_scikit_learns_scores_of_their_probabilities(scored):
    for _, row in scored.iterrows():
        truth, probabilities = CNN[row["split"]].labels, row["probabilities"]
        assert (probabilities.shape, probabilities.dtype) == ((32, 2), np.float32)
        np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-6)
        predicted = probabilities.argmax(axis=1)
        expected = f1_score(truth, predicted, average="macro", zero_division=0)
        assert row["macro_f1"] == pytest.approx(expected)
        recalls = recall_score(truth, predicted, average=None, zero_division=0)
        assert [row["recall/left"], row["recall/right"]] == pytest.approx(recalls.tolist())


@pytest.mark.parametrize(
    "backend", ["loky", *(pytest.param(b, marks=pytest.mark.slow) for b in ("ray", "dask"))]
)
def test_neither_workers_nor_order_nor_company_change_a_number(scored, backend):
    keys = ["network", "recipe", "repetition", "split"]
    alone = scored.drop(columns="seconds").set_index(keys)
    map_tasks = partial(map_unordered, num_workers=2, backend=backend)
    together = score(RUNS[:3:-1], map_tasks=map_tasks)
    together = together.drop(columns="seconds").set_index(keys)
    named = [(run.network, run.recipe.name, run.repetition) for run in RUNS[:3:-1]]
    assert list(dict.fromkeys(key[:3] for key in together.index)) == named
    alone = alone.loc[together.index]
    for one, other in zip(alone.pop("probabilities"), together.pop("probabilities"), strict=True):
        assert one.tobytes() == other.tobytes()
    pd.testing.assert_frame_equal(together, alone)


def test_nothing_is_touched_but_what_a_run_needs(capsys):
    class Watched(dict):
        touched: set[str] = set()  # noqa: RUF012

        def __getitem__(self, name):
            self.touched.add(name)
            return super().__getitem__(name)

    sets = {net: Watched(own) for net, own in SETS.items()}
    found = score([RUNS[0], RUNS[-1]], splits=["val"], sets=sets)
    assert found["split"].tolist() == ["val", "val"]
    assert Watched.touched == {"train", "synthetic", "val"}
    assert "evaluate: 2/2 classifiers" in capsys.readouterr().err


def used_by(run, monkeypatch):
    """What a run hands to the trainer, its first batches included."""
    seen = {}

    def draw_batches(real, synthetic, **options):
        seen.update(options, real=real, synthetic=synthetic)
        return []

    monkeypatch.setattr(module, "draw_batches", draw_batches)
    monkeypatch.setattr(module, "train_classifier", lambda _, **options: seen.update(train=options))
    fit_network(run, CNN, replace(SETTING, soft=SOFT))
    return seen


def test_recipes_of_a_repetition_share_their_rows_seeds_and_steps(monkeypatch):
    reference = used_by(Run("cnn", TEACHER, 0), monkeypatch)
    for recipe in [*ARMS.values(), MIXED, replace(MIXED, soft_labels=True)]:
        own = used_by(Run("cnn", recipe, 0), monkeypatch)
        assert own["recipe"] == recipe
        assert own["real"].rows.tolist() == reference["real"].rows.tolist()
        assert [own[k] for k in ("seed", "batch_size", "num_steps")] == [reference["seed"], 8, 3]
        assert [own["train"][k] for k in ("seed", "lr", "num_steps")] == [
            reference["train"]["seed"], 0.01, 3,
        ]  # fmt: skip
        assert (own["train"]["augment"] is not None) is recipe.classical
        assert own["train"]["mixup"] is recipe.mixup
        assert (own["synthetic"] is not None) is bool(recipe.share)
    first, second = (used_by(Run("cnn", MIXED, 0), monkeypatch) for _ in range(2))
    np.testing.assert_array_equal(first["synthetic"].rows, second["synthetic"].rows)


def test_each_repetition_draws_its_own_nine_tenths_of_both_kinds(monkeypatch):
    one, other = (used_by(Run("cnn", MIXED, number), monkeypatch) for number in (0, 1))
    for kind, name in (("real", "train"), ("synthetic", "synthetic")):
        labels = CNN[name].labels
        most = [math.ceil(DRAWN * n) for n in np.bincount(labels)]
        assert np.bincount(labels[one[kind].rows]).tolist() == most
        assert one[kind].rows.tolist() != other[kind].rows.tolist()
    assert one["seed"] != other["seed"]
    assert one["train"]["seed"] != other["train"]["seed"]


def test_the_linear_classifier_gets_the_same_rows_as_the_networks(monkeypatch):
    seen = []
    monkeypatch.setattr(module, "fit_linear", lambda _, *rows, **options: seen.append(rows))
    fit(Run("linear", MIXED, 1), LINEAR, SETTING)
    of_cnn = used_by(Run("cnn", MIXED, 1), monkeypatch)
    for own, kind in zip(seen[0], ("real", "synthetic"), strict=True):
        np.testing.assert_array_equal(own, of_cnn[kind].rows)


def test_a_network_may_have_steps_and_a_rate_of_its_own(monkeypatch):
    own, network = used_by(Run("efficientnet", TEACHER, 0), monkeypatch), NETWORKS["efficientnet"]
    assert own["num_steps"] == own["train"]["num_steps"] == network.num_steps != SETTING.num_steps
    assert own["train"]["lr"] == network.lr != SETTING.lr


def test_soft_labels_are_half_the_teachers_of_both_kinds(monkeypatch):
    soft = replace(MIXED, soft_labels=True)
    for recipe, expected in ((MIXED, [1, 0]), (soft, [0.75, 0.25])):
        own = used_by(Run("cnn", recipe, 0), monkeypatch)
        for kind in ("real", "synthetic"):
            targets, labels = own[kind].targets, own[kind].labels
            assert targets.dtype == np.float32
            assert targets[labels == 0].tolist() == [expected] * 16
            assert targets[labels == 1].tolist() == [expected[::-1]] * 16


def test_soft_labels_need_teachers():
    with pytest.raises(AssertionError):
        fit(Run("cnn", Recipe(soft_labels=True), 0), CNN, SETTING)
    taught = replace(SETTING, soft=SOFT)
    found = score([Run("cnn", Recipe(soft_labels=True), 0)], splits=["val"], setting=taught)
    assert found["macro_f1"].between(0, 1).all()


def test_rows_are_a_share_of_each_class_rounded_up_and_grow_by_adding():
    labels = np.repeat([0, 1, 3], [30, 10, 1])
    few, more = (draw_rows(labels, share, rng=np.random.default_rng(0)) for share in (0.1, 0.5))
    assert np.bincount(labels[few]).tolist() == [3, 1, 0, 1]
    assert np.bincount(labels[more]).tolist() == [15, 5, 0, 1]
    assert set(few) < set(more)
    assert more.tolist() == sorted(more.tolist())
    assert draw_rows(labels, 1, rng=np.random.default_rng(0)).tolist() == list(range(41))
    assert draw_rows(labels, 0.5, rng=np.random.default_rng(1)).tolist() != more.tolist()
    assert len(draw_rows(labels[:0], 0.5, rng=np.random.default_rng(0))) == 0
    assert len(draw_rows(np.zeros(70, int), 0.7, rng=np.random.default_rng(0))) == 49  # not 50


def test_the_number_of_threads_is_left_as_it_was():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        with one_thread():
            assert torch.get_num_threads() == 1
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_scores_equal_scikit_learns():
    rng = np.random.default_rng(0)
    names = ("a", "b", "c", "d")
    for num_predicted in (1, 2, 4):
        labels, predicted = rng.integers(0, 4, 50), rng.integers(0, num_predicted, 50)
        options = {"labels": range(4), "zero_division": 0}
        found = scores(labels, predicted, names)
        recalls = recall_score(labels, predicted, average=None, **options)
        expected = {f"recall/{name}": r for name, r in zip(names, recalls, strict=True)}
        macro_f1 = f1_score(labels, predicted, average="macro", **options)
        assert found == pytest.approx({"macro_f1": macro_f1, **expected})


def test_a_class_without_images_or_predictions_counts_as_zero():
    labels = np.array([0, 0, 1])
    expected = {"macro_f1": 2 / 3, "recall/a": 1, "recall/b": 1, "recall/c": 0}
    assert scores(labels, labels, ("a", "b", "c")) == pytest.approx(expected)
    assert scores(labels[:0], labels[:0], ("a", "b", "c")) == dict.fromkeys(expected, 0)
