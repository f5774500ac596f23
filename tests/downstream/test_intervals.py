import tracemalloc

import numpy as np
import pytest
from scipy.stats import norm
from sklearn.metrics import f1_score, recall_score

from ganaug.downstream.intervals import answer, groups_needed, joint_delta

K = 4


def predictions(rng, labels, repetitions, right):
    wrong = rng.integers(0, K, (repetitions, len(labels)))
    return np.where(rng.random(wrong.shape) < right, labels, wrong)


def example(seed=0, repetitions=6, num_groups=11, num=330, right=(0.8, 0.7)):
    rng = np.random.default_rng(seed)
    labels, groups = rng.integers(0, K, num), np.arange(num) % num_groups
    treated, control = (predictions(rng, labels, repetitions, share) for share in right)
    return treated, control, labels, groups


def delta(treated, control, labels, groups, *, seed=0, confidence=0.95, num_classes=K, **more):
    return joint_delta(
        treated,
        control,
        labels,
        groups,
        num_classes=num_classes,
        confidence=confidence,
        rng=np.random.default_rng(seed),
        **more,
    )


def macro_f1(labels, predicted):
    """Written from the definition, one class after the other."""
    parts = []
    for label in range(K):
        hits = ((labels == label) & (predicted == label)).sum()
        both = (labels == label).sum() + (predicted == label).sum()
        parts.append(2 * hits / both if both else 0)
    return np.mean(parts)


def plain_difference(treated, control, labels, rows=slice(None), repetitions=None):
    repetitions = range(len(treated)) if repetitions is None else repetitions
    labels, treated, control = labels[rows], treated[:, rows], control[:, rows]
    deltas = {
        r: macro_f1(labels, treated[r]) - macro_f1(labels, control[r]) for r in set(repetitions)
    }
    return 100 * np.mean([deltas[r] for r in repetitions])


def drawn_groups(rng, groups):
    num = groups.max() + 1
    return np.concatenate([np.flatnonzero(groups == g) for g in rng.integers(0, num, num)])


def test_the_mean_is_that_of_scikit_learn():
    case = treated, control, labels, _ = example()
    found = delta(*case)
    how = {"average": "macro", "labels": range(K), "zero_division": 0}
    pairs = list(zip(treated, control, strict=True))
    deltas = [f1_score(labels, new, **how) - f1_score(labels, old, **how) for new, old in pairs]
    assert found["mean_pp"] == pytest.approx(100 * np.mean(deltas))
    assert found["mean_pp"] == pytest.approx(plain_difference(treated, control, labels))
    changes = [
        recall_score(labels, new, average=None) - recall_score(labels, old, average=None)
        for new, old in pairs
    ]
    recalls = [found["recall"][label]["mean_pp"] for label in range(K)]
    assert recalls == pytest.approx(100 * np.mean(changes, axis=0))
    assert (found["num_repetitions"], found["num_groups"]) == (6, 11)


def test_the_spread_over_groups_is_that_of_a_slow_bootstrap():
    treated, control, labels, groups = example(right=(0.75, 0.7))
    found = delta(treated, control, labels, groups)
    rng = np.random.default_rng(1)
    drawn = [
        plain_difference(treated, control, labels, drawn_groups(rng, groups)) for _ in range(400)
    ]
    by_groups = np.std(drawn) * np.sqrt(11 / 10)
    assert found["spread_groups_pp"] == pytest.approx(by_groups, rel=0.12)


def test_the_interval_is_that_of_a_slow_joint_bootstrap_where_both_factors_are_many():
    rng = np.random.default_rng(0)
    labels, groups = rng.integers(0, K, 480), np.arange(480) % 40
    wrong, luck = (labels + rng.integers(1, K, 480)) % K, rng.random(480)
    # What is right depends on group plus repetition, so they hardly interact.
    right = 0.75 + rng.normal(0, 0.05, 40)[groups] + rng.normal(0, 0.08, 25)[:, None]
    treated = np.where(luck < right, labels, wrong)
    control = np.tile(np.where(luck < 0.7, labels, wrong), (25, 1))
    found = delta(treated, control, labels, groups)
    drawn = [
        plain_difference(
            treated, control, labels, drawn_groups(rng, groups), rng.integers(0, 25, 25)
        )
        for _ in range(200)
    ]
    half = (found["high_pp"] - found["low_pp"]) / 2
    assert half == pytest.approx(norm.isf(0.025) * np.std(drawn), rel=0.2)


def test_neither_order_of_images_nor_names_of_groups_matter():
    treated, control, labels, groups = example()
    first = delta(treated, control, labels, groups)
    order = np.random.default_rng(3).permutation(len(labels))
    names = np.array([f"module {(7 * g + 3) % 11}" for g in groups])
    again = delta(treated[:, order], control[:, order], labels[order], names[order])
    assert again == first


def test_the_generator_alone_decides():
    case = example()
    first = delta(*case)
    np.random.seed(5)  # noqa: NPY002
    assert delta(*case) == first
    assert delta(*case, seed=1) != first


def test_swapping_the_recipes_turns_everything_round():
    treated, control, labels, groups = example()
    there, back = delta(treated, control, labels, groups), delta(control, treated, labels, groups)
    assert there["mean_pp"] == pytest.approx(-back["mean_pp"])
    assert there["low_pp"] == pytest.approx(-back["high_pp"], abs=0.5)
    assert there["low_pp"] < there["mean_pp"] < there["high_pp"]


def test_equal_predictions_have_neither_difference_nor_spread():
    treated, _, labels, groups = example()
    found = delta(treated, treated, labels, groups)
    nothing = {"mean_pp": 0, "low_pp": 0, "high_pp": 0}
    assert found == found | nothing | {"spread_groups_pp": 0, "spread_repetitions_pp": 0}
    assert found["recall"] == dict.fromkeys(range(K), nothing)
    assert answer(found, margin_pp=1.0) == "ship_real_only"


def test_one_group_falls_back_to_images():
    treated, control, labels, _ = example()
    one = delta(treated, control, labels, np.zeros(len(labels), int))
    own = delta(treated, control, labels, np.arange(len(labels)))
    assert one == own | {"num_groups": 1}
    assert groups_needed(one, half_width_pp=1) is None


def test_one_repetition_is_refused():
    treated, control, labels, groups = example(repetitions=1)
    with pytest.raises(ValueError, match="need two or more"):
        delta(treated, control, labels, groups)


@pytest.mark.parametrize("repetitions", [2, 3, 20])
@pytest.mark.parametrize("num_groups", [2, 3, 330])
def test_any_number_of_either_gives_a_finite_interval(repetitions, num_groups):
    found = delta(*example(repetitions=repetitions, num_groups=num_groups))
    assert -100 <= found["low_pp"] < found["mean_pp"] < found["high_pp"] <= 100


def test_fewer_repetitions_and_more_confidence_widen_the_interval():
    treated, control, labels, groups = example(repetitions=12)

    def width(num, confidence):
        found = delta(treated[:num], control[:num], labels, groups, confidence=confidence)
        return found["high_pp"] - found["low_pp"]

    assert width(12, 0.9) < width(12, 0.95) < width(12, 0.99)
    assert width(12, 0.95) < width(3, 0.95)


def test_a_class_without_images_or_in_a_single_group_breaks_nothing():
    treated, control, labels, groups = example()
    labels = np.where(labels == 3, 0, labels)
    labels = np.where((labels == 2) & (groups != 4), 1, labels)
    found = delta(treated, control, labels, groups)
    assert found["recall"][3] == {"mean_pp": None, "low_pp": None, "high_pp": None}
    alone = found["recall"][2]
    assert alone["mean_pp"] is not None
    assert alone["low_pp"] is alone["high_pp"] is None
    assert found["mean_pp"] == pytest.approx(plain_difference(treated, control, labels))
    assert np.isfinite([found["low_pp"], found["high_pp"]]).all()
    assert found["low_pp"] < found["mean_pp"] < found["high_pp"]


@pytest.mark.parametrize("which", range(4))
def test_shapes_that_do_not_match_are_refused(which):
    case = list(example())
    case[which] = case[which][..., 1:]
    with pytest.raises(ValueError, match=r"need \[R, N\]"):
        delta(*case)


@pytest.mark.parametrize("value", [-1, K])
def test_an_unknown_class_is_refused(value):
    case = example()
    case[0][0, 0] = value
    with pytest.raises(ValueError, match=r"is not in 0\.\.3"):
        delta(*case)


def test_memory_stays_small_with_many_groups():
    case = example(num_groups=2000, num=2000)
    tracemalloc.start()
    delta(*case)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 200 * 2**20


def test_the_interval_holds_the_truth_about_as_often_as_it_says():
    rng, hits, trials = np.random.default_rng(0), 0, 200
    for trial in range(trials):
        labels, groups = rng.integers(0, K, 330), np.arange(330) % 11
        own = rng.normal(0, 0.04, (2, 1, 11))[..., groups] + rng.normal(0, 0.02, (2, 6, 1))
        treated, control = (predictions(rng, labels, 6, 0.75 + effect) for effect in own)
        found = delta(treated, control, labels, groups, seed=trial, num_resamples=200)
        hits += found["low_pp"] <= 0 <= found["high_pp"]
    assert 0.9 <= hits / trials <= 0.99


def test_the_answer_follows_from_the_interval_and_the_margin():
    for margin, low, mean, high, said in (
        (1.0, -0.9, 1.2, 3.3, "ship"),
        (1.0, 0.1, 0.3, 0.5, "ship"),
        (1.0, -0.5, -0.1, 0.3, "ship_real_only"),  # no harm, and no use either
        (1.0, -4.0, -2.0, -0.1, "ship_real_only"),
        (1.0, -1.1, 0.9, 2.9, "undecided"),
        (1.5, -1.1, 0.9, 2.9, "ship"),
        (1.0, -0.9, -0.1, 1.1, "undecided"),
        (1.5, -0.9, -0.1, 1.1, "ship_real_only"),
    ):
        found = {"low_pp": low, "mean_pp": mean, "high_pp": high}
        assert answer(found, margin_pp=margin) == said, (margin, found)


def test_groups_needed_follows_from_the_parts_of_the_spread():
    found = {"low_pp": -2.0, "high_pp": 2.0, "num_groups": 11}
    only_groups = found | {"spread_groups_pp": 1.0, "spread_repetitions_pp": 0.0}
    assert groups_needed(only_groups, half_width_pp=1) == 44
    assert groups_needed(only_groups, half_width_pp=2) == 11
    both = found | {"spread_groups_pp": 1.0, "spread_repetitions_pp": 1.0}
    assert groups_needed(both, half_width_pp=1) is None
    assert groups_needed(both, half_width_pp=2) == 11
    none = found | {"spread_groups_pp": 0.0, "spread_repetitions_pp": 0.0}
    assert groups_needed(none, half_width_pp=1) == 2
