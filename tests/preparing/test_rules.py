from dataclasses import replace

import pandas as pd

from ganaug.errors import DatasetError, SourceError
from ganaug.preparing.checks import Rejection
from ganaug.preparing.rules import (
    require_enough,
    require_few_rejected,
    require_known_classes,
    require_two_halves,
)
from tests.preparing.made_up import candidate
from tests.refusal import refuses
from tests.toy_source import toy_source

FACTS = toy_source().facts


def candidates(**numbers):
    return [candidate(f"{c}-{i}", class_name=c) for c, n in numbers.items() for i in range(n)]


def test_small_classes_are_noted_and_too_small_or_lone_ones_refused_by_name():
    assert require_enough(candidates(left=50, right=50), FACTS) == []
    (note,) = require_enough(candidates(left=50, right=49), FACTS)
    assert "class 'right' has 49 distinct images" in note
    for number in (0, 7):
        few = candidates(left=50, right=number)
        match = f"class 'right' has {number} distinct .* at least 8"
        refuses(DatasetError, match, require_enough, few, FACTS)
    lone = replace(FACTS, classes=("left",))
    match = "toy has one class, left; .* needs two"
    refuses(DatasetError, match, require_enough, candidates(left=50), lone)


def test_a_class_that_the_source_does_not_list_is_refused():
    match = r"middle-0 is of class 'middle'; .* left, right"
    refuses(SourceError, match, require_known_classes, candidates(left=1, middle=1), FACTS)


def test_rejections_up_to_the_limit_pass_and_beyond_it_name_the_first_reasons():
    rejections = [Rejection(f"f{i}.png", "unreadable", f"because {i}") for i in range(5)]
    require_few_rejected(rejections, candidates(left=95), most=0.05)
    match = (
        r"5 of 99 images are unusable.*prepare\.max_reject_fraction = 0\.05"
        "(?!.*f3.png).*f0.png: because 0; f1.png: because 1; f2.png: because 2"
    )
    refuses(DatasetError, match, require_few_rejected, rejections, candidates(left=94), most=0.05)
    refuses(DatasetError, "no images", require_few_rejected, [], [], most=1)


def test_each_class_needs_two_halves_to_train_on():
    other = pd.DataFrame({"class_name": "dog", "group": [f"d{i}" for i in range(8)]})
    for groups, refused in (
        ("aabb", None),
        ("", "0 training images"),
        ("abc", "3 training images, 1 of them in one group"),
        ("aaaaaaab", "8 training images, 7 of them in one group"),
    ):
        own = pd.DataFrame({"class_name": "cat", "group": list(groups)})
        train = pd.concat([own, other], ignore_index=True)
        if refused is None:
            require_two_halves(train, ("cat", "dog"))
        else:
            match = f"class 'cat' has {refused}"
            refuses(DatasetError, match, require_two_halves, train, ("cat", "dog"))
