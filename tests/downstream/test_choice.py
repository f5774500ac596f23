from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from ganaug.downstream import choice
from ganaug.downstream.choice import ROUNDS, choose_recipes
from ganaug.downstream.recipes import TEACHER
from ganaug.downstream.setting import Setting
from ganaug.quality.parts import LabelledImages
from tests.publishing.small_run import CLASSICAL

SETTING = Setting(3, 8, 0.01, ("a", "b"), (), CLASSICAL, seed=0)
SHARES = (0.2, 0.5)
ALL = (0, 1, 2, 3)


def no_images(number, *, rare=None):
    """Half of each class, or `rare` of the second one."""
    nothing = np.zeros((number, 8, 8, 1), np.uint8)
    labels = np.arange(number) % 2 if rare is None else np.arange(number) < rare
    return LabelledImages(nothing, labels.astype(np.int64))


@pytest.fixture
def choose(monkeypatch):
    """Choose by made-up scores: `points(network, recipe)` may be one, or one a repetition."""

    def run(points, *, networks=("cnn",), num_synthetic=6, shares=SHARES, rare=None):
        asked = []

        def score_runs(runs, sets, *, setting, map_tasks):
            asked.extend((run, run.scored, setting, dict(setting.soft)) for run in runs)
            return pd.DataFrame([row for run in runs for row in rows_of(run, sets)])

        def rows_of(run, sets):
            paired = np.array([0.3, 0.5, 0.2, 0.6])  # the same for all recipes: no difference
            score = (paired + points(run.network, run.recipe))[run.repetition]
            for split in run.scored:
                yield {
                    "network": run.network,
                    "recipe": run.recipe.name,
                    "repetition": run.repetition,
                    "split": split,
                    "macro_f1": score if split == "val" else 1 - score,
                    "probabilities": np.full((len(sets[run.network][split].labels), 2), score),
                }

        monkeypatch.setattr(choice, "score_runs", score_runs)
        numbers = {"train": 8, "synthetic": num_synthetic, "val": 4, "test": 4}
        sets = {net: {name: no_images(n) for name, n in numbers.items()} for net in networks}
        for own in sets.values():
            own["train"] = no_images(8, rare=rare)
        found = choose_recipes(sets, shares, setting=SETTING, map_tasks=map)
        return found, asked

    return run


def prefer(**wanted):
    """More points for each field that is as wanted."""

    def points(_, recipe):
        return 0.01 * sum(getattr(recipe, name) == value for name, value in wanted.items())

    return points


def test_the_best_without_synthetic_images_is_found(choose):
    for balanced in (False, True):
        for mixup in (False, True):
            for soft in (False, True):
                wanted = {"balanced": balanced, "mixup": mixup, "soft_labels": soft, "share": 0}
                found, _ = choose(prefer(**wanted))
                best = found.networks["cnn"].without
                assert {name: getattr(best, name) for name in wanted} == wanted
                assert found.networks["cnn"].recommended == best


def test_recipes_with_synthetic_images_build_on_the_best_without(choose):
    found, asked = choose(prefer(balanced=False, mixup=True))
    without = found.networks["cnn"].without
    mixed = [run.recipe for run, *_ in asked if run.recipe.share]
    assert {(recipe.balanced, recipe.mixup) for recipe in mixed} == {(False, True)}
    assert (without.balanced, without.mixup) == (False, True)


def test_a_clear_winner_is_chosen_and_measured(choose):
    cases = (
        ({"share": 0.2, "schedule": "mix"}, False),
        ({"share": 0.2, "schedule": "first"}, False),
        ({"share": 0.5, "schedule": "mix", "weight": 1}, True),
        ({"share": 0.5, "weight": 0.3}, True),
    )
    for wanted, at_edge in cases:
        own = choose(prefer(**wanted))[0].networks["cnn"]
        assert {name: getattr(own.recommended, name) for name in wanted} == wanted
        assert own.best_with == own.recommended
        assert own.at_edge is at_edge
        assert own.val["recipe"].iloc[0] == own.recommended.name


def test_images_by_need_are_tried_where_classes_differ_in_size(choose):
    for rare, tried in ((None, False), (3, False), (2, True)):
        found, asked = choose(prefer(by_need=True, share=0.2), rare=rare)
        assert any(run.recipe.by_need for run, *_ in asked) is tried, rare
        assert found.networks["cnn"].recommended.by_need is tried, rare


def test_by_need_counts_as_lean_as_its_classes_make_it(choose):
    """Both do equally well; by need, half of the classes get up to three quarters of the share."""
    equal = lambda _, recipe: 0.01 * (recipe.share > 0 and recipe.schedule == "mix")  # noqa: E731
    for rare, by_need in ((2, True), (None, False)):
        own = choose(equal, rare=rare, shares=(0.2,))[0].networks["cnn"]
        assert own.recommended.by_need is by_need, rare


def noisy(share, differences):
    return lambda _, recipe: np.array(differences) if recipe.share == share else np.zeros(4)


def test_none_wins_within_one_standard_error_and_not_beyond(choose):
    # Mean 0.01; the standard error of the first is 0.0115, that of the second 0.0058.
    for differences, wins in (([0.03, -0.01, 0.03, -0.01], False), ([0.02, 0, 0.02, 0], True)):
        assert (np.std(differences, ddof=1) / 2 < np.mean(differences)) is np.bool_(wins)
        own = choose(noisy(0.5, differences))[0].networks["cnn"]
        assert own.best_with.share == 0.5
        assert own.recommended == (own.best_with if wins else own.without)
        assert own.at_edge is wins


def test_of_equals_the_one_that_leans_least_on_synthetic_images_is_taken(choose):
    own = choose(lambda _, recipe: 0.01 * bool(recipe.share))[0].networks["cnn"]
    reached = own.val[own.val["repetitions"] == len(ALL)]["recipe"]
    assert own.recommended.amount() == pytest.approx(0.2 * 0.7)
    assert own.recommended.name in set(reached)
    assert not own.at_edge


def test_worse_ones_with_synthetic_images_are_measured_yet_not_chosen(choose):
    own = choose(lambda _, recipe: -0.05 * recipe.share)[0].networks["cnn"]
    assert own.recommended == own.without
    assert own.best_with.share == 0.2
    assert own.val["recipe"].iloc[0] == own.without.name


def test_only_the_better_half_is_trained_on_the_second_round(choose):
    found, asked = choose(prefer(balanced=True, schedule="first"))
    repetitions = {}
    for run, *_ in asked:
        repetitions.setdefault(run.recipe, []).append(run.repetition)
    assert all(len(own) == len(set(own)) for own in repetitions.values())  # none is trained twice
    assert {tuple(sorted(own)) for own in repetitions.values()} == {ROUNDS[0], ALL}
    plain = [recipe for recipe in repetitions if not recipe.share and not recipe.soft_labels]
    mixed = [recipe for recipe in repetitions if recipe.share]
    for group, number in ((plain, 6), (mixed, 6)):
        reached = [recipe for recipe in group if len(repetitions[recipe]) == 4]
        assert (len(group), len(reached)) == (number, number // 2)
    reached = [recipe for recipe in plain if len(repetitions[recipe]) == 4]
    assert all(recipe.balanced for recipe in reached)
    assert all(
        len(repetitions[recipe]) == 4 for recipe in mixed if recipe.schedule == "first"
    )  # the better ones

    val = found.networks["cnn"].val.set_index("recipe")
    assert val["repetitions"].to_dict() == {r.name: len(own) for r, own in repetitions.items()}
    assert val["mean"].is_monotonic_decreasing
    assert val["se"].iloc[0] == 0


def test_soft_labels_are_tried_on_the_recipe_that_gets_synthetic_images(choose):
    """Else what soft labels bring would be taken for the images' work."""

    def points(_, recipe):
        late = np.array([0, 0, 0.3, 0.3]) if not recipe.balanced else 0.01  # wins in round two
        return late - recipe.mixup - recipe.cutmix

    found, asked = choose(points)
    without = found.networks["cnn"].without
    assert not without.balanced
    tried = {run.recipe for run, *_ in asked}
    assert replace(without, soft_labels=True) in tried
    for recipe in tried:
        if recipe.share and recipe.soft_labels:
            control = replace(recipe, share=0.0, schedule="mix", weight=1.0)
            repetitions = {run.repetition for run, *_ in asked if run.recipe == control}
            assert repetitions == set(ALL)


def test_without_synthetic_images_none_is_measured(choose):
    found, asked = choose(prefer(balanced=True), num_synthetic=0)
    own = found.networks["cnn"]
    assert own.best_with is None
    assert own.recommended == own.without
    assert not own.at_edge
    assert not any(run.recipe.share for run, *_ in asked)
    assert found.soft["synthetic"].shape == (0, 2)


def test_the_test_split_is_never_asked_for_and_the_seed_is_its_own(choose):
    found, asked = choose(prefer(), networks=("cnn", "linear"))
    for run, splits, *_ in asked:
        teaches = (run.network, run.recipe) == ("cnn", TEACHER) and run.repetition in ROUNDS[0]
        assert splits == (("val", "train", "synthetic") if teaches else ("val",)), run
    assert set(found.runs["split"]) == {"val", "train", "synthetic"}
    assert {setting.seed for *_, setting, _ in asked}.isdisjoint({SETTING.seed})
    assert "probabilities" not in found.runs
    assert len(found.runs) == sum(len(splits) for _, splits, *_ in asked)


def test_teachers_are_the_first_runs_of_the_cnn_and_teach_networks_that_learn_in_steps(choose):
    found, asked = choose(prefer(balanced=True), networks=("linear", "cnn"))
    assert {name: own.shape for name, own in found.soft.items()} == {
        "train": (8, 2),
        "synthetic": (6, 2),
    }
    expected = np.mean([0.3, 0.5]) + 0.01  # both repetitions of the teacher
    assert all(np.allclose(own, expected) for own in found.soft.values())
    assert TEACHER in {run.recipe for run, *_ in asked if run.network == "cnn"}
    taught = [(run, soft) for run, _, _, soft in asked if run.recipe.soft_labels]
    assert {run.network for run, _ in taught} == {"cnn"}
    assert all(soft.keys() == found.soft.keys() for _, soft in taught)

    found, asked = choose(prefer(soft_labels=True), networks=("linear",))
    assert found.soft == {}
    assert not any(run.recipe.soft_labels for run, *_ in asked)


def test_each_network_chooses_for_itself(choose):
    def points(net, recipe):
        return 0.01 * (recipe.balanced is (net == "cnn")) + 0.02 * (
            net == "linear" and recipe.share == 0.5
        )

    found = choose(points, networks=("cnn", "linear"))[0].networks
    assert [found[net].without.balanced for net in ("cnn", "linear")] == [True, False]
    assert [found[net].recommended.share for net in ("cnn", "linear")] == [0, 0.5]
