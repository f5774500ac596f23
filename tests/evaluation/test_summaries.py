import numpy as np
import pandas as pd
import pytest

from ganaug.evaluation.summaries import (
    compare_arms,
    learning_curve,
    recall_changes,
    rounded,
    summarise_arms,
    summarise_networks,
)


def runs(**scores):
    """Test scores by arm and seed; val scores are 0.1 lower."""
    return pd.DataFrame(
        {
            "arm": arm, "seed": seed, "split": split, "macro_f1": score - (split == "val") / 10,
            "recall/a": score, "recall/b": 1 - score,
        }
        for arm, values in scores.items()
        for seed, score in enumerate(values)
        for split in ("val", "test")
    )  # fmt: skip


ALL = {"A": [0.6, 0.6], "B": [0.7, 0.8], "B'": [0.7, 0.7], "C": [0.6, 0.7], "D": [0.8, 0.7],
       "E": [0.5, 0.4]}  # fmt: skip


def test_arms_are_summarised_on_test_and_val():
    found = summarise_arms(runs(**ALL), ["a", "b"])
    assert list(found) == list(ALL)
    assert found["B"]["mean"] == pytest.approx(0.75)
    assert found["B"]["val_mean"] == pytest.approx(0.65)
    assert found["B"]["std"] == pytest.approx(0.0707, abs=1e-4)
    assert found["B"]["recall"] == pytest.approx({"a": 0.75, "b": 0.25})


def test_arms_are_compared_seed_by_seed_in_points():
    found = compare_arms(runs(**ALL), confidence=0.95, seed=0)
    assert set(found) == {"D-B", "D-B'", "B-A", "C-A", "E-A"}
    assert found["D-B"]["test"]["mean_pp"] == pytest.approx(0)
    assert found["D-B'"]["test"]["mean_pp"] == pytest.approx(5)
    assert found["E-A"]["val"]["mean_pp"] == pytest.approx(-15)


def test_the_order_of_the_rows_does_not_matter():
    table = runs(**ALL)
    shuffled = table.sample(frac=1, random_state=1)
    assert compare_arms(shuffled, confidence=0.95, seed=0) == compare_arms(
        table, confidence=0.95, seed=0
    )


def test_recall_changes_from_b_to_d():
    found = recall_changes(summarise_arms(runs(B=[0.7, 0.8], D=[0.9, 0.8]), ["a", "b"]))
    assert found == pytest.approx({"a": 10, "b": -10})


def test_without_synthetic_images_d_is_b():
    real = runs(**{arm: ALL[arm] for arm in ("A", "B", "B'")})
    found = compare_arms(real, confidence=0.95, seed=0)
    assert set(found) == {"D-B", "D-B'", "B-A"}
    assert found["D-B"]["test"]["mean_pp"] == 0
    assert recall_changes(summarise_arms(real, ["a", "b"])) == {"a": 0, "b": 0}


def test_rounding_keeps_six_digits_and_everything_else():
    assert rounded({"a": [1 / 3, 12345678.9], "b": None, "c": True, "d": 7, "e": (2e-9 / 3,)}) == {
        "a": [0.333333, 12345700.0], "b": None, "c": True, "d": 7, "e": [6.66667e-10],
    }  # fmt: skip


def test_p_values_are_adjusted_over_the_networks():
    table = pd.concat([runs(**ALL).assign(network=name) for name in ("cnn", "linear")])
    found = summarise_networks(table, ["a", "b"], confidence=0.95, seed=0)
    assert list(found) == ["cnn", "linear"]
    delta = found["linear"]["deltas"]["D-B'"]["test"]
    assert delta["p_holm"] == pytest.approx(min(1, 2 * delta["p_value"]))
    assert found["cnn"]["recall_change_pp"] == pytest.approx({"a": 0, "b": 0}, abs=1e-9)


def test_the_curve_rises_by_real_images_and_is_left_out_with_one_point():
    table = runs(**ALL).assign(network="cnn")
    found = summarise_networks(table, ["a", "b"], confidence=0.95, seed=0)
    labels = np.repeat([0, 1], [20, 4])
    points = learning_curve({1.0: found, 0.1: found}, labels)
    assert [(p["fraction"], p["num_real"]) for p in points] == [(0.1, 3), (1.0, 24)]
    assert set(points[0]["networks"]["cnn"]["arms"]) == {"B", "B'", "D"}
    assert set(points[0]["networks"]["cnn"]["deltas"]) == {"D-B", "D-B'"}
    assert learning_curve({1.0: found}, labels) == []
