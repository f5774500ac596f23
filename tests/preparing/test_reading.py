from dataclasses import replace

import numpy as np
import pytest

from ganaug.errors import SourceError
from ganaug.images import decode_png, encode_png, pixel_id
from ganaug.preparing.reading import read_candidates
from tests.toy_source import toy_source


def test_candidates_keep_the_sources_order_and_facts():
    images = list(toy_source().images)
    candidates, rejections = read_candidates(images, resolution=16, channels=1, num_workers=2)
    assert rejections == []
    for image, candidate in zip(images, candidates, strict=True):
        assert (candidate.name, candidate.class_name) == (image.name, image.class_name)
        assert (candidate.group, candidate.split) == (image.group, image.split)
        assert candidate.image_id == pixel_id(decode_png(candidate.png))


def test_the_number_of_workers_changes_nothing():
    one, other = (
        read_candidates(toy_source().images, resolution=32, channels=3, num_workers=number)
        for number in (1, 3)
    )
    assert one == other


def test_unusable_images_are_rejected_by_name_with_their_reason():
    first, second, *rest = toy_source().images
    images = [first, replace(second, content=b"broken"), *rest]
    candidates, (rejection,) = read_candidates(images, resolution=16, channels=1, num_workers=1)
    assert (rejection.file, rejection.reason) == (second.name, "unreadable")
    assert len(candidates) + 1 == len(images)


def test_image_of_one_colour_is_rejected():
    first, second, *rest = toy_source().images
    flat = encode_png(np.full((16, 16, 1), 7, np.uint8))
    images = [first, replace(second, content=flat), *rest]
    _, (rejection,) = read_candidates(images, resolution=16, channels=1, num_workers=1)
    assert (rejection.file, rejection.reason) == (second.name, "constant")
    assert rejection.detail == "every pixel is 7"


def test_two_images_of_one_name_are_refused():
    first, *rest = toy_source().images
    with pytest.raises(SourceError, match=f"two images named '{first.name}'"):
        read_candidates([first, *rest, first], resolution=16, channels=1, num_workers=1)
