"""The rule with three answers: which evidence leads to which decision and reason."""

from ganaug.verdict.rule import Evidence, Margins, decide

GATE = {"passed": True, "near_copies": 0.01, "near_copies_real": 0.02, "authentic": 0.7}
WORDS = {"cnn": "a small CNN", "linear": "a linear classifier"}


def delta(mean, low, high, **more):
    spread = {"spread_groups_pp": (high - low) / 4, "spread_repetitions_pp": (high - low) / 40}
    counts = {"num_repetitions": 6, "num_groups": 11}
    return {"mean_pp": mean, "low_pp": low, "high_pp": high, **spread, **counts, **more}


GAIN, NOTHING = delta(2, 0.5, 3.5), delta(0.1, -0.4, 0.6)
UNSURE, HARM = delta(0.5, -2.6, 3.6), delta(-2, -4.5, 0.5)


def network(name, uplift, *, share=0.2, recalls=None):
    recalls = recalls or {"good": delta(0.5, -1, 2), "bad": delta(-1.9, -5, 1.2)}
    return {
        "words": WORDS[name],
        "uplift": uplift,
        "chosen_share": share,
        "recall_change_pp": recalls,
    }


def verdict(
    cnn=GAIN, linear=GAIN, *, shares=(0.2, 0.2), recalls=None, gate=GATE, num_synthetic=1500,
    num_with_parent=0, num_translated=0, sampled=None,
    precision=(0.5, 0.6), empty=(),
):  # fmt: skip
    evidence = Evidence(
        networks={
            "cnn": network("cnn", cnn, share=shares[0], recalls=recalls),
            "linear": network("linear", linear, share=shares[1]),
        },
        memorisation={"imagenet": GATE, "thumbnails": gate} if num_synthetic else {},
        precision={"good": (0.5, 0.6), "bad": precision},
        empty=empty,
        num_synthetic=num_synthetic,
        num_with_parent=num_with_parent,
        num_translated=num_translated,
        sampled=sampled or {},
    )
    return decide(evidence, Margins(harm_pp=1.0, recall_pp=2.0, confidence=0.9))


def test_a_gain_with_every_classifier_ships_as_a_gain():
    found = verdict()
    assert found["decision"] == "ship"
    assert found["sentence"].startswith("The synthetic images help: 1,500 synthetic images change")
    assert "+2.0 pp (+0.5 to +3.5) with a small CNN" in found["sentence"]
    assert "90% intervals over test groups and repeated trainings" in found["sentence"]
    assert "lower bound of the change of macro-F1 is +0.5 pp" in found["reasons"][0]


def test_what_was_only_sampled_is_said():
    reasons = verdict(sampled={"train": (10_000, 800_000)})["reasons"]
    assert reasons[-1] == "Of the 800,000 train images, 10,000 were drawn for the verdict."
    assert "No copying of training images among those drawn for the verdict shows." in reasons


def test_no_harm_ships_and_is_not_sold_as_a_gain():
    found = verdict(linear=NOTHING)
    assert found["decision"] == "ship"
    assert found["sentence"].startswith("No harm and no sure gain")


def test_a_classifier_without_synthetic_images_is_no_obstacle_and_all_of_them_are():
    found = verdict(linear=HARM, shares=(0.2, 0))
    assert found["decision"] == "ship"
    assert found["reasons"][-1].startswith("For a linear classifier val chose no synthetic images")
    found = verdict(shares=(0, 0))
    assert found["decision"] == "ship_real_only"
    assert "On val, no classifier did better" in found["reasons"][0]


def test_where_no_number_of_groups_would_do_more_repetitions_are_asked_for():
    noisy = delta(0.5, -2.6, 3.6, spread_groups_pp=0.1, spread_repetitions_pp=1.5)
    found = verdict(cnn=noisy)
    assert found["decision"] == "undecided"
    assert "more repetitions would tell more" in " ".join(found["reasons"])


def test_a_wide_interval_is_undecided_and_says_what_it_would_take():
    found = verdict(linear=UNSURE)
    assert found["decision"] == "undecided"
    assert found["sentence"].startswith("Too few test images or groups to tell")
    (reason,) = found["reasons"]
    assert "may be as low as -2.6 pp and as high as +3.6 pp" in reason
    assert "11 test groups and 6 repetitions are too few to tell; about" in reason


def test_what_can_not_gain_is_refused_whatever_else_is_open():
    found = verdict(cnn=HARM, linear=UNSURE)
    assert found["decision"] == "ship_real_only"
    assert found["reasons"][0].endswith("is at best +0.5 pp.")
    assert len(found["reasons"]) == 2


def test_a_fall_on_average_never_ships():
    assert verdict(cnn=delta(-0.2, -0.6, 1.2))["decision"] == "undecided"
    assert verdict(cnn=delta(-0.2, -0.6, 0.2))["decision"] == "ship_real_only"


def test_a_loss_of_recall_counts_once_it_is_shown():
    lost = {"good": delta(0, -1, 1), "bad": delta(-6, -9.0, -2.1)}
    found = verdict(recalls=lost)
    assert found["decision"] == "ship_real_only"
    assert (
        "Class bad with a small CNN: recall changes by -6.0 pp (-9.0 to -2.1)"
        in found["reasons"][0]
    )
    unsure = lost | {"bad": delta(-6, -12, -1.9)}
    assert verdict(recalls=unsure)["decision"] == "ship"
    untold = lost | {"bad": {"mean_pp": None, "low_pp": None, "high_pp": None}}
    assert verdict(recalls=untold)["decision"] == "ship"


def test_copies_never_ship_and_the_space_is_named():
    found = verdict(gate=GATE | {"passed": False, "near_copies": 0.4})
    assert found["decision"] == "ship_real_only"
    assert (
        "in the space of thumbnails: near copies 40.0%; near copies real 2.0%"
        in found["reasons"][0]
    )
    assert found["memorisation"]["passed"] is False
    assert found["memorisation"]["near_copies_thumbnails"] == 0.4


def test_images_that_lie_elsewhere_or_are_missing_do_not_ship():
    assert (
        "Class bad does not look like its real images: 1.0%"
        in verdict(precision=(0.01, 0.6))["reasons"][0]
    )
    found = verdict(empty=("bad",))
    assert found["reasons"] == ["Class bad: images were asked for, and none was accepted."]
    assert found["classes_without_images"] == ["bad"]


def test_a_class_too_small_to_measure_is_named():
    assert verdict(precision=(None, None))["too_small"] == ["bad"]
    assert verdict()["too_small"] == []
    unknown = {"mean_pp": -9.0, "low_pp": None, "high_pp": None}  # in one test group alone
    found = verdict(recalls={"good": delta(0.5, -1, 2), "bad": unknown})
    assert found["too_small"] == ["bad"]
    assert "Too few test images or groups to tell of: bad." in found["reasons"]


def test_without_synthetic_images_the_real_ones_go_out():
    found = verdict(None, None, shares=(0, 0), num_synthetic=0)
    assert found["decision"] == "ship_real_only"
    assert found["reasons"] == ["There are no synthetic images: none was accepted by the filter."]


def test_the_rule_is_stated_with_its_numbers():
    rule = verdict()["rule"]
    assert (rule["harm_margin_pp"], rule["recall_margin_pp"], rule["confidence"]) == (1.0, 2.0, 0.9)
    assert "lies above -1 pp" in rule["text"]


def test_what_synthetic_images_hold_of_real_ones_is_said_whatever_is_decided():
    for gain, decision in ((GAIN, "ship"), (delta(-3.0, -2.0, -1.5), "ship_real_only")):
        found = verdict(gain, gain, num_with_parent=1200)
        assert found["decision"] == decision
        assert found["reasons"][-1].startswith(
            "1,200 of the synthetic images were built on a detail"
        )
        found = verdict(gain, gain, num_with_parent=1200, num_translated=900)
        assert found["decision"] == decision
        assert found["reasons"][-1].startswith("900 of the synthetic images were made from a train")
