import re

import pytest

from ganaug.evaluation.verdict import Evidence, Margins, decide

GATE = {
    "passed": True, "closer_to_train": 0.8, "authentic": 0.7, "authentic_real": 0.6,
    "near_copies": 0.01, "near_copies_real": 0.02,
}  # fmt: skip


def delta(mean, low, high):
    return {"mean_pp": mean, "low_pp": low, "high_pp": high, "p_value": 0.03, "n": 6}


GAIN, NOTHING, HARM = delta(2, 0.5, 3.5), delta(0.1, -0.4, 0.6), delta(0.5, -0.6, 1.6)


def verdict(
    plain=GAIN, balanced=GAIN, *, linear=GAIN, recalls=None, gate=GATE, num_synthetic=1500,
    precision=(0.5, 0.6), precision_bad=(0.5, 0.6), ratio=1.0, empty=(),
):  # fmt: skip
    recalls = {"good": 0.5, "bad": -1.9} if recalls is None else recalls
    evidence = Evidence(
        deltas={
            "cnn": {"D-B": plain, "D-B'": balanced, "C-A": HARM},
            "linear": {"D-B": linear, "D-B'": GAIN},
        },
        recall_change_pp={"cnn": recalls, "linear": {"good": 0.0, "bad": 0.0}},
        memorisation={"imagenet": GATE, "thumbnails": gate},
        precision={"good": precision, "bad": precision_bad},
        ratio=ratio,
        empty=empty,
        num_synthetic=num_synthetic,
    )
    return decide(evidence, Margins(harm_pp=0.5, recall_pp=2.0, confidence=0.95))


def test_a_gain_over_both_ships_as_a_gain():
    found = verdict()
    assert found["decision"] == "ship"
    assert "1,500 synthetic images raise macro-F1 by +2.0 pp" in found["sentence"]
    assert "95% interval +0.5 to +3.5" in found["sentence"]
    assert "holds against class-balanced" in found["sentence"]
    assert set(found["uplift"]) == {"D-B", "D-B'"}


def test_a_gain_that_balancing_explains_is_not_sold_as_one():
    found = verdict(balanced=NOTHING)
    assert found["decision"] == "ship"
    assert "no measurable difference against class-balanced" in found["sentence"]


def test_a_gain_that_one_classifier_shows_is_not_called_one():
    found = verdict(linear=NOTHING)
    assert found["decision"] == "ship"
    assert found["sentence"].startswith("No measurable difference that both classifiers show")
    assert found["linear"]["uplift"]["D-B"] == NOTHING


def test_classes_too_small_to_tell_are_not_held_against_it():
    assert verdict(precision=(None, None))["decision"] == "ship"


def test_no_difference_ships_and_says_so():
    found = verdict(plain=NOTHING)
    assert found["decision"] == "ship"
    assert found["sentence"].startswith("No measurable difference")
    assert "raise" not in found["sentence"]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"plain": HARM}, "D-B with a small CNN: .* as low as -0.6 pp; above -0.5 pp"),
        ({"balanced": HARM}, "D-B' with a small CNN: .* as low as -0.6 pp"),
        ({"plain": delta(0, -0.5, 0.5)}, "D-B with a small CNN: .* as low as -0.5 pp"),
        (
            {"recalls": {"good": 3.0, "bad": -2.1}},
            "Class bad with a small CNN: recall changes by -2.1 pp",
        ),
        ({"gate": GATE | {"passed": False, "near_copies": 0.4}}, "space of thumbnails: 40.0% near"),
        ({"linear": HARM}, "D-B with a linear classifier .* as low as -0.6 pp"),
        (
            {"linear": delta(1, float("nan"), float("nan"))},
            "D-B with a linear classifier .* as low as .nan pp",
        ),
        (
            {"precision_bad": (0.02, 0.6)},
            "Class bad does not look like its real images: 2.0% .* against 60.0%",
        ),
        ({"ratio": 0.0}, "On val, no share of synthetic images did better"),
        ({"empty": ("rare",)}, "Class rare: images were asked for, and none was accepted"),
    ],
    ids=[
        "plain",
        "balanced",
        "edge",
        "recall",
        "copies",
        "linear",
        "nan",
        "noise",
        "ratio",
        "empty",
    ],
)
def test_each_breach_keeps_the_synthetic_images_back(changes, reason):
    found = verdict(**changes)
    assert found["decision"] == "ship_real_only"
    assert len(found["reasons"]) == 1
    assert re.search(reason, found["reasons"][0])
    assert "not met" in found["sentence"]


def test_every_breach_is_named():
    found = verdict(HARM, HARM, recalls={"bad": -9.0})
    assert len(found["reasons"]) == 3


def test_no_synthetic_images_is_a_reason_of_its_own():
    found = verdict(num_synthetic=0)
    assert found["decision"] == "ship_real_only"
    assert "no synthetic images" in found["sentence"]
    assert found["reasons"] == ["There are no synthetic images: none was accepted by the filter."]


def test_the_rule_stands_beside_the_decision_with_its_numbers():
    rule = verdict()["rule"]
    assert "-0.5 pp" in rule["text"]
    assert (rule["harm_margin_pp"], rule["recall_margin_pp"], rule["confidence"]) == (0.5, 2, 0.95)


def test_the_gate_is_summarised_flat():
    gate = verdict()["memorisation"]
    assert gate["passed"] is True
    assert gate["near_copies_real_thumbnails"] == 0.02
