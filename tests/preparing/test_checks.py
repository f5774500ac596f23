from ganaug.preparing.checks import reject_duplicates
from tests.preparing.made_up import candidate


def test_every_candidate_is_accepted_or_rejected_once_with_the_reason():
    pixels = {"a": "x", "b": "x", "c": "x", "d": "y", "e": "y", "f": "z"}
    accepted, rejected = reject_duplicates(
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
