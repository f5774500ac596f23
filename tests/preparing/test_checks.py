from ganaug.preparing.checks import Rejection, duplicates, run_checks
from tests.preparing.made_up import candidate


def test_every_candidate_is_accepted_or_rejected_once_with_the_reason():
    pixels = {"a": "x", "b": "x", "c": "x", "d": "y", "e": "y", "f": "z"}
    accepted, rejected = run_checks(
        [candidate(name, own, "dog" if name in "bf" else "cat") for name, own in pixels.items()]
    )
    assert [c.name for c in accepted] == ["d", "f"]  # of equal pixels in a class the first stays
    assert {r.file: (r.reason, r.detail) for r in rejected} == {
        "a": ("label_conflict", "same pixels as b of class dog"),
        "b": ("label_conflict", "same pixels as a of class cat"),
        "c": ("label_conflict", "same pixels as b of class dog"),
        "e": ("duplicate", "same pixels as d"),
    }
    assert len(rejected) == 4


def test_a_further_check_is_one_function():
    def no_dogs(candidates):
        return [Rejection(c.name, "dog", "a dog") for c in candidates if c.class_name == "dog"]

    two = [candidate("a", "x"), candidate("b", "x", "dog")]
    accepted, rejected = run_checks(two, [no_dogs, duplicates])
    assert [c.name for c in accepted] == ["a"]
    assert [r.reason for r in rejected] == ["dog"]
