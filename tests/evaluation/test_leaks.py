import pandas as pd
import pytest

from ganaug.errors import DatasetError
from ganaug.evaluation.leaks import check_no_leak


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
        (splits(), synthetic_rows(nearest=("a", "e")), "nearest_id .*: s2 -> e"),
        (splits(), synthetic_rows(parent=("d", None)), "parent_id .*: s1 -> d"),
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
