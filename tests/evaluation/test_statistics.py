import numpy as np
import pytest
from scipy.stats import binomtest

from ganaug.evaluation.statistics import holm, paired_delta, wilson_interval

CONTROL = [0.70, 0.72, 0.69, 0.71, 0.73, 0.70]


def delta(treated, control=CONTROL, seed=0, confidence=0.95):
    rng = np.random.default_rng(seed)
    return paired_delta(treated, control, confidence=confidence, rng=rng)


def shifted(*changes):
    return [c + change for c, change in zip(CONTROL, changes, strict=True)]


def test_a_clear_gain_is_found_with_its_size_in_points():
    found = delta(shifted(0.02, 0.03, 0.025, 0.03, 0.02, 0.025))
    assert found["mean_pp"] == pytest.approx(2.5)
    assert 1.5 < found["low_pp"] < 2.5 < found["high_pp"] < 3.5
    assert found["p_value"] == pytest.approx(2 / 2**6)  # exact: the least that six pairs can give
    assert found["n"] == 6


def test_noise_around_zero_is_not_called_a_gain():
    found = delta(shifted(0.03, -0.03, 0.02, -0.02, 0.01, -0.01))
    assert found["low_pp"] < 0 < found["high_pp"]
    assert found["p_value"] == pytest.approx(1)


def test_swapping_the_arms_turns_everything_round():
    treated = shifted(0.02, 0.01, 0.03, -0.01, 0.02, 0.04)
    there, back = delta(treated), delta(CONTROL, treated)
    assert there["mean_pp"] == pytest.approx(-back["mean_pp"])
    assert there["p_value"] == pytest.approx(back["p_value"])
    assert there["low_pp"] == pytest.approx(-back["high_pp"], abs=0.3)


def test_equal_deltas_have_no_spread():
    same = delta(CONTROL)
    assert same == {"mean_pp": 0, "low_pp": 0, "high_pp": 0, "p_value": 1, "n": 6}
    gain = delta([c + 0.1 for c in CONTROL])
    assert gain["low_pp"] == pytest.approx(10)
    assert gain["high_pp"] == pytest.approx(10)


@pytest.mark.parametrize("n", [2, 3, 20])
def test_any_number_of_pairs_gives_a_finite_interval(n):
    treated = np.random.default_rng(n).normal(0.7, 0.02, n).tolist()
    found = delta(treated, [0.7] * n)
    assert np.isfinite([found["low_pp"], found["high_pp"]]).all()
    assert found["low_pp"] <= found["mean_pp"] <= found["high_pp"]


def test_levels_beyond_the_last_resample_give_a_finite_and_wider_interval():
    treated = shifted(0.02, 0.03, 0.025, 0.03, 0.02, 0.025)
    levels = (0.9, 0.95, 0.99, 0.9995)
    lows = [delta(treated, confidence=level)["low_pp"] for level in levels]
    assert np.isfinite(lows).all()
    assert lows == sorted(lows, reverse=True)


def test_the_interval_holds_the_truth_about_as_often_as_it_says(monkeypatch):
    monkeypatch.setattr("ganaug.evaluation.statistics.NUM_RESAMPLES", 300)
    rng, hits, trials = np.random.default_rng(0), 0, 150
    for trial in range(trials):
        found = delta(rng.normal(size=6).tolist(), [0] * 6, seed=trial)
        hits += found["low_pp"] <= 0 <= found["high_pp"]
    assert hits / trials > 0.88  # a plain bootstrap holds it in 0.86


def test_the_generator_alone_decides():
    treated = shifted(0.02, 0.01, 0.03, -0.01, 0.02, 0.04)
    first = delta(treated)
    np.random.seed(5)  # noqa: NPY002
    assert delta(treated) == first


def test_unpaired_scores_are_refused():
    with pytest.raises(ValueError, match="two or more pairs, got 1 and 1"):
        delta([0.5], [0.4])
    with pytest.raises(ValueError, match="got 2 and 6"):
        delta([0.5, 0.6])


@pytest.mark.parametrize("hits", [0, 3, 20])
def test_wilson_equals_scipys(hits):
    expected = binomtest(hits, 20).proportion_ci(0.9, method="wilson")
    low, high = wilson_interval(hits / 20, 20, confidence=0.9)
    assert (low, high) == pytest.approx((expected.low, expected.high))
    assert low >= 0
    assert high <= 1


def test_holm_asks_more_of_the_smallest_and_keeps_the_order():
    assert holm([0.04, 0.01, 0.03]) == pytest.approx([0.06, 0.03, 0.06])
    assert holm([0.5, 0.9]) == pytest.approx([1.0, 1.0])
    assert holm([0.02]) == [0.02]
