from dataclasses import replace

import pandas as pd
import pytest

from ganaug.errors import DatasetError, SourceError
from ganaug.preparing.checks import Candidate, Rejection
from ganaug.preparing.rules import (
    require_enough,
    require_few_rejected,
    require_known_classes,
    require_two_halves,
)
from tests.toy_source import toy_source

FACTS = toy_source().facts


def candidates(**numbers):
    return [
        Candidate(
            f"{name}-{i}",
            name,
            group=None,
            split=None,
            image_id=f"{name}{i}",
            thumbnail=b"",
            png=None,
        )
        for name, number in numbers.items()
        for i in range(number)
    ]


def test_enough_images_give_no_note():
    assert require_enough(candidates(left=50, right=50), FACTS) == []


def test_small_classes_are_noted_by_name():
    (note,) = require_enough(candidates(left=50, right=49), FACTS)
    assert "class 'right' has 49 distinct images" in note


@pytest.mark.parametrize("number", [0, 7])
def test_too_small_a_class_is_refused_by_name(number):
    with pytest.raises(DatasetError, match=f"class 'right' has {number} distinct .* at least 8"):
        require_enough(candidates(left=50, right=number), FACTS)


def test_one_class_is_refused():
    with pytest.raises(DatasetError, match=r"toy has one class, left; .* needs two"):
        require_enough(candidates(left=50), replace(FACTS, classes=("left",)))


def test_a_class_that_the_source_does_not_list_is_refused():
    with pytest.raises(SourceError, match=r"middle-0 is of class 'middle'; .* left, right"):
        require_known_classes(candidates(left=1, middle=1), FACTS)


def test_rejections_up_to_the_limit_pass_and_beyond_it_name_the_first_reasons():
    rejections = [Rejection(f"f{i}.png", "unreadable", f"because {i}") for i in range(5)]
    require_few_rejected(rejections, num_read=100, most=0.05)
    with pytest.raises(DatasetError) as caught:
        require_few_rejected(rejections, num_read=99, most=0.05)
    message = str(caught.value)
    assert "5 of 99 images are unusable" in message
    assert "prepare.max_reject_fraction = 0.05" in message
    assert "f0.png: because 0; f1.png: because 1; f2.png: because 2;" in message
    assert "f3.png" not in message


def test_a_source_without_images_is_refused():
    with pytest.raises(DatasetError, match="no images"):
        require_few_rejected([], num_read=0, most=1)


@pytest.mark.parametrize(
    ("groups", "refused"),
    [
        ("aaaabbbb", None),
        ("aaaabbb", "7 training images, 4 of them in one group"),
        ("aaaaaaabbb", "10 training images, 7 of them in one group"),
    ],
)
def test_each_class_needs_two_halves_to_train_on(groups, refused):
    own = pd.DataFrame({"class_name": "cat", "group": list(groups)})
    other = pd.DataFrame({"class_name": "dog", "group": [f"d{i}" for i in range(8)]})
    train = pd.concat([own, other], ignore_index=True)
    if refused is None:
        require_two_halves(train)
        return
    with pytest.raises(DatasetError, match=f"class 'cat' has {refused}"):
        require_two_halves(train)
