import math

from ganaug.gan.guards import collapsed_classes, lost_ground, not_finite


def test_values_that_are_not_finite_are_named():
    assert not_finite({"a": 1.0, "b": math.nan, "c": -math.inf}) == "not finite: b, c"
    assert not_finite({"a": 1.0}) == ""


def test_lost_ground_is_half_of_the_way_back_and_more_than_noise():
    cases = {
        (4.1, 6.0, 2.0): True,  # above half of the way, and above twice the best
        (3.9, 6.0, 2.0): False,
        (6.1, 6.0, 6.0): False,  # nothing was won yet: a little worse is noise
        (2.0, 3.0, 1.5): False,  # less than twice the best
        (0.3, 0.5, -0.01): True,  # a KID can be negative
    }
    for (kid, first, best), lost in cases.items():
        assert bool(lost_ground(kid, first=first, best=best)) == lost, kid
    assert lost_ground(0.03, first=0.01, best=-0.01, noise=0.01)
    assert not lost_ground(0.01, first=0.01, best=-0.01, noise=0.01)


def test_collapsed_classes_are_those_below_half_of_the_real_variety():
    values = {"class_diversity/a": 0.49, "class_diversity/b": 0.51, "kid": 0.1}
    assert collapsed_classes(values) == ["a"]
