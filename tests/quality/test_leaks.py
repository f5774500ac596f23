from functools import partial

import numpy as np
import pandas as pd
import pytest

from ganaug.errors import DatasetError
from ganaug.preparing.near_duplicates import USUAL_DISTANCE
from ganaug.quality.leaks import check_no_leak, check_no_near_duplicates
from ganaug.thumbnails import flip

no_near_duplicates = partial(check_no_near_duplicates, symmetries=(), distance=USUAL_DISTANCE)


def real_rows(*names, group="g"):
    return pd.DataFrame({"image_id": names, "group_id": [f"{group}{n}" for n in names]})


def synthetic_rows(ids=("s1", "s2"), nearest=("a", "b"), parent=(None, None)):
    return pd.DataFrame({"image_id": ids, "nearest_id": nearest, "parent_id": parent})


def splits(**changes):
    return {
        "train": real_rows("a", "b"), "val": real_rows("c"), "test": real_rows("d", "e"),
    } | changes  # fmt: skip


def test_clean_rows_pass():
    check_no_leak(splits(), synthetic_rows())
    check_no_leak(splits(), synthetic_rows(parent=("a", None)))
    check_no_leak(splits(), synthetic_rows()[:0])


@pytest.mark.parametrize(
    ("real", "synthetic", "message"),
    [
        (splits(test=real_rows("d", "a", group="x")), synthetic_rows(),
         "train and test share image a"),
        (splits(val=real_rows("c", group="g").assign(group_id="gd")), synthetic_rows(),
         "val and test share group gd"),
        (splits(), synthetic_rows(ids=("s1", "d")), "synthetic image d equals a real one of test"),
        (splits(), synthetic_rows(nearest=("a", "e")), r"nearest_id .*: s2 -> e \(of test\)"),
        (splits(), synthetic_rows(parent=("d", None)), r"parent_id .*: s1 -> d \(of test\)"),
    ],
    ids=["image", "group", "synthetic", "nearest", "parent"],
)  # fmt: skip
def test_each_leak_is_named(real, synthetic, message):
    with pytest.raises(DatasetError, match=message):
        check_no_leak(real, synthetic)


def test_all_leaks_are_named_at_once_and_long_lists_are_cut():
    many = real_rows(*"abcdefgh")
    with pytest.raises(DatasetError) as caught:
        check_no_leak(splits(train=many, test=many), synthetic_rows(ids=("s1", "a")))
    assert "train and test share image a, b, c and 5 more" in str(caught.value)
    assert "synthetic image a equals" in str(caught.value)


def pictures(number, *, seed=0):
    """Features of different pictures, and rows that put each into a group of its own."""
    features = np.random.default_rng(seed).normal(size=(number, 256)).astype(np.float32)
    names = [f"{seed}-{i}" for i in range(number)]
    return features, pd.DataFrame({"image_id": names, "group_id": names})


def test_altered_copies_in_test_stop_the_run_and_the_pairs_are_named():
    (train, train_rows), (test, test_rows) = pictures(200), pictures(60, seed=1)
    rows = {"train": train_rows, "test": test_rows}
    no_near_duplicates(rows, {"train": train, "test": test})
    test[40:] = train[:20] + np.float32(0.01)
    with pytest.raises(DatasetError, match="test and train share near duplicates: 1-") as caught:
        no_near_duplicates(rows, {"train": train, "test": test})
    assert "and 17 more" in str(caught.value)


def test_mirrored_copies_stop_the_run_only_where_a_mirrored_image_is_the_same_picture():
    (train, train_rows), (test, test_rows) = pictures(200), pictures(60, seed=1)
    rows = {"train": train_rows, "test": test_rows}
    test[:5] = flip(train[:5], ["hflip"])
    no_near_duplicates(rows, {"train": train, "test": test}, symmetries=["vflip"])
    with pytest.raises(DatasetError, match="1-0 ~ 0-0, 1-1 ~ 0-1, 1-2 ~ 0-2 and 2 more"):
        no_near_duplicates(rows, {"train": train, "test": test}, symmetries=["hflip"])
