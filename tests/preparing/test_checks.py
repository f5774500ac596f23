from ganaug.preparing.checks import Candidate, Rejection, duplicates, label_conflicts, run_checks


def candidate(name, pixels, class_name="cat"):
    return Candidate(
        name, class_name, group=None, split=None, image_id=pixels, thumbnail=b"", png=None
    )


def test_of_equal_pixels_in_a_class_the_first_stays():
    found = duplicates([candidate("a", "x"), candidate("b", "y"), candidate("c", "x")])
    assert found == [Rejection("c", "duplicate", "same pixels as a")]


def test_equal_pixels_in_two_classes_all_go():
    found = label_conflicts(
        [candidate("a", "x"), candidate("b", "x", "dog"), candidate("c", "x"), candidate("d", "y")]
    )
    assert {r.file: r.detail for r in found} == {
        "a": "same pixels as b of class dog",
        "b": "same pixels as a of class cat",
        "c": "same pixels as b of class dog",
    }
    assert {r.reason for r in found} == {"label_conflict"}


def test_every_candidate_is_accepted_or_rejected_once():
    candidates = [
        candidate("a", "x"),
        candidate("b", "x", "dog"),
        candidate("c", "x"),
        candidate("d", "y"),
        candidate("e", "y"),
        candidate("f", "z", "dog"),
    ]
    accepted, rejected = run_checks(candidates)
    names = [c.name for c in accepted] + [r.file for r in rejected]
    assert sorted(names) == ["a", "b", "c", "d", "e", "f"]
    assert [c.name for c in accepted] == ["d", "f"]


def test_a_further_check_is_one_function():
    def no_dogs(candidates):
        return [Rejection(c.name, "dog", "a dog") for c in candidates if c.class_name == "dog"]

    accepted, rejected = run_checks(
        [candidate("a", "x"), candidate("b", "x", "dog")], [no_dogs, duplicates]
    )
    assert [c.name for c in accepted] == ["a"]
    assert [r.reason for r in rejected] == ["dog"]
