import time

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ganaug.errors import DatasetError
from ganaug.preparing.split import assign_splits, complete_given_splits, draw_fold, thin_train
from ganaug.sources.elpv import load_elpv

SPLITS = ["train", "val", "test"]
FRACTIONS = {"val_fraction": 0.15, "test_fraction": 0.25}


def table(class_names, groups, splits=None):
    return pd.DataFrame({"class_name": class_names, "group": groups, "split": splits}).astype(
        {"split": "object"}
    )


def singles(class_sizes):
    """Images that each stand alone, `class_sizes` of every class."""
    names = [f"c{label}" for label, size in enumerate(class_sizes) for _ in range(size)]
    return table(names, [f"{name}-{i}" for i, name in enumerate(names)])


def split(images, *, seed=0, **fractions):
    return assign_splits(images, seed=seed, **(FRACTIONS | fractions))[0]


def shares(images, splits):
    """Share of each split in each class: [splits, classes]."""
    return pd.crosstab(splits, images["class_name"], normalize="columns")


@st.composite
def grouped_images(draw):
    """30 to 60 groups of 1 to 12 images of up to 3 classes each."""
    num_groups = draw(st.integers(30, 60))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    sizes = rng.integers(1, 13, num_groups)
    groups = np.repeat([f"g{i}" for i in range(num_groups)], sizes)
    num_classes = draw(st.integers(2, 3))
    mixed = draw(st.booleans())
    of_group = rng.permutation(np.arange(num_groups) % num_classes)
    labels = rng.integers(0, num_classes, sizes.sum()) if mixed else np.repeat(of_group, sizes)
    return table([f"c{label}" for label in labels], groups)


@settings(max_examples=25, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck))
@given(images=grouped_images(), seed=st.integers(0, 5))
def test_no_group_is_in_two_splits_and_every_class_is_in_all(images, seed):
    splits = split(images, seed=seed)
    assert splits.index.equals(images.index)
    assert splits.groupby(images["group"]).nunique().max() == 1
    assert (pd.crosstab(splits, images["class_name"]) > 0).all(axis=None)
    assert sorted(splits.unique()) == sorted(SPLITS)


@settings(max_examples=15, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck))
@given(images=grouped_images(), seed=st.integers(0, 5))
def test_neither_row_order_nor_a_second_run_moves_an_image(images, seed):
    splits = split(images, seed=seed)
    shuffled = images.sample(frac=1, random_state=1)
    assert split(shuffled, seed=seed).sort_index().equals(splits)


@settings(max_examples=25, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    images=grouped_images(), seed=st.integers(0, 5), kept=st.floats(0.5, 1), order=st.integers(0)
)
def test_insertion_moves_no_image_whose_split_is_kept(images, seed, kept, order):
    old = images.sample(frac=kept, random_state=order % 2**32)
    try:
        before = split(old, seed=seed)
    except DatasetError:  # too few groups are left
        return
    more = images.assign(split=before.reindex(images.index).astype("object"))
    after = split(more, seed=seed)
    assert after.loc[old.index].equals(before)
    assert after.groupby(images["group"]).nunique().max() == 1
    assert (pd.crosstab(after, images["class_name"]) > 0).all(axis=None)


@pytest.mark.parametrize("seed", range(4))
def test_shares_lie_within_a_quarter_of_the_wanted_ones_where_groups_allow(seed):
    images = singles([400, 120, 60])
    part = shares(images, split(images, seed=seed))
    assert ((part.loc["val"] / 0.15 - 1).abs() <= 0.25).all()
    assert ((part.loc["test"] / 0.25 - 1).abs() <= 0.25).all()


def test_another_seed_gives_another_split():
    images = singles([50, 50])
    assert not split(images, seed=0).equals(split(images, seed=1))


def test_new_images_move_none_of_the_old_ones():
    more = singles([300, 300])
    old = more.sample(frac=0.8, random_state=0).sort_index()
    assert split(more).loc[old.index].equals(split(old))


def test_a_new_class_moves_no_other_where_they_share_no_group():
    images = singles([40, 40, 9])
    old = images[images["class_name"] != "c2"]
    assert split(images).loc[old.index].equals(split(old))


def test_classes_that_share_groups_share_the_salt():
    groups = [f"g{i // 4}" for i in range(160)]
    images = pd.concat(
        [table(["a", "b"] * 80, groups), table(["c"] * 80, [f"h{i}" for i in range(80)])],
        ignore_index=True,
    )
    _, salts = assign_splits(images, seed=0, **FRACTIONS)
    assert set(salts) == {"a", "b", "c"}
    assert salts["a"] == salts["b"]


def test_many_small_classes_can_be_split():
    images = singles([8] * 100)
    splits = split(images)
    assert (pd.crosstab(splits, images["class_name"]) > 0).all(axis=None)


def test_given_splits_stand_and_need_no_salt():
    given_splits = ["train", "val", "test"] * 8
    images = table(["a"] * 12 + ["b"] * 12, [f"g{i}" for i in range(24)], given_splits)
    splits, salts = assign_splits(images, seed=0, **FRACTIONS)
    assert splits.tolist() == given_splits
    assert salts == {"a": 0, "b": 0}


def test_a_given_split_holds_for_its_whole_group_and_the_rest_is_drawn():
    images = singles([60, 60])
    images.loc[:1, "group"] = "together"
    images.loc[0, "split"] = "val"
    splits = split(images)
    assert splits[:2].tolist() == ["val", "val"]
    assert sorted(splits.unique()) == sorted(SPLITS)


def test_a_group_given_two_splits_is_refused_by_name():
    images = table(["a", "a"], ["patient-7", "patient-7"], ["train", "test"])
    with pytest.raises(DatasetError, match=r"group 'patient-7' in two splits"):
        split(images)


def test_an_unknown_split_is_refused_by_name():
    with pytest.raises(DatasetError, match=r"split 'dev'; expected train, val, test"):
        split(table(["a"], ["g"], ["dev"]))


def test_given_splits_that_leave_a_class_out_are_refused():
    given_splits = ["train"] * 4 + ["train", "val", "test", "test"]
    images = table(["a"] * 4 + ["b"] * 4, list("12345678"), given_splits)
    with pytest.raises(DatasetError, match=r"source gives leave a class of a out"):
        split(images)


def test_a_class_of_two_groups_is_refused_with_what_to_do():
    images = table(["a"] * 30 + ["b"] * 30, [f"g{i // 5}" for i in range(30)] + ["x", "y"] * 15)
    with pytest.raises(
        DatasetError, match=r"class 'b' has images of 2 group\(s\) only.*add images"
    ):
        split(images)


def test_groups_that_no_salt_can_part_are_refused_with_what_to_do():
    # Each of 40 classes has three groups, all linked by one: one lucky salt in very many.
    groups = [f"g{i}" for i in range(80)]
    images = table(
        [f"c{i}" for i in range(40) for _ in range(3)],
        [g for i in range(40) for g in ("hub", groups[2 * i], groups[2 * i + 1])],
    )
    with pytest.raises(DatasetError, match=r"no way found .* 81 groups; add groups"):
        split(images)


def test_elpv_is_split_near_the_wanted_shares(shipped_params):
    cells = load_elpv(shipped_params.prepare).images
    images = table(*zip(*((cell.class_name, cell.group) for cell in cells), strict=True))
    splits = split(images)
    part = shares(images, splits)
    assert ((part.loc["val"] / 0.15 - 1).abs() <= 0.25).all()
    assert ((part.loc["test"] / 0.25 - 1).abs() <= 0.25).all()
    assert splits.groupby(images["group"]).nunique().max() == 1


@pytest.mark.parametrize("num_classes", [10, 200])
def test_a_hundred_thousand_images_are_split_in_seconds(num_classes):
    images = singles([100_000 // num_classes] * num_classes)
    began = time.process_time()
    splits = split(images)
    assert time.process_time() - began < 5  # about 1 s; the rest is for busy machines
    assert shares(images, splits).loc["test"].between(0.18, 0.32).all()


@pytest.mark.parametrize(
    ("held_out", "note"), [("test", "val is from train"), ("val", "val is used as test")]
)
def test_two_given_splits_become_three_and_what_was_held_out_stays_so(held_out, note):
    images = pd.DataFrame(
        {
            "class_name": ["a", "b"] * 100,
            "group": [f"g{i}" for i in range(200)],
            "split": ["train"] * 150 + [held_out] * 50,
        }
    )
    splits, notes = complete_given_splits(images, val_fraction=0.2, test_fraction=0.25, seed=0)
    assert (splits[150:] == "test").all()
    assert set(splits[:150]) == {"train", "val"}
    assert 25 <= (splits == "val").sum() <= 55  # 40 wanted
    assert note in notes[0]
    assert (
        assign_splits(images.assign(split=splits), val_fraction=0.2, test_fraction=0.25, seed=0)[
            0
        ].tolist()
        == splits.tolist()
    )


def test_train_alone_is_as_good_as_nothing_given():
    images = pd.DataFrame({"class_name": ["a"] * 9, "group": list("abcdefghi"), "split": "train"})
    splits, notes = complete_given_splits(images, val_fraction=0.2, test_fraction=0.2, seed=0)
    assert splits.isna().all()
    assert notes == []


@pytest.fixture
def to_thin():
    """200 training images of class a and 30 of class b, and 40 of both to test."""
    names = ["a"] * 200 + ["b"] * 30 + ["a", "b"] * 20
    splits = ["train"] * 230 + ["test"] * 40
    ids = [f"{i:032x}" for i in range(len(names))]
    return pd.DataFrame({"class_name": names, "split": splits, "image_id": ids})


def thin(images, *, fraction=1.0, numbers=None, seed=0):
    return thin_train(images, fraction=fraction, numbers=numbers or {}, seed=seed)


def test_thinned_train_keeps_the_shares_and_nested_sets_and_all_else(to_thin):
    less, more = (set(to_thin.index[thin(to_thin, fraction=f)]) for f in (0.3, 0.5))
    assert less < more < set(to_thin.index[thin(to_thin)]) == set(to_thin.index)
    kept = to_thin.loc[sorted(less)].groupby(["split", "class_name"]).size().to_dict()
    assert kept == {
        ("train", "a"): 60, ("train", "b"): 9, ("test", "a"): 20, ("test", "b"): 20,
    }  # fmt: skip
    shuffled = to_thin.sample(frac=1, random_state=1)
    assert set(shuffled.index[thin(shuffled, fraction=0.3)]) == less
    assert set(to_thin.index[thin(to_thin, fraction=0.3, seed=1)]) != less


def test_the_long_tail_is_cut_by_class(to_thin):
    kept = to_thin[thin(to_thin, fraction=0.5, numbers={"b": 10})]
    train = kept.loc[kept["split"] == "train", "class_name"].value_counts().to_dict()
    assert train == {"a": 100, "b": 10}


def test_a_class_that_is_not_there_is_named(to_thin):
    with pytest.raises(DatasetError, match="keep_train: no class 'c'; there are a, b"):
        thin(to_thin, numbers={"c": 10})


def test_folds_test_other_groups_each_and_the_first_is_the_usual_split():
    wanted = {"val_fraction": 0.15, "test_fraction": 0.25, "seed": 3}
    images = pd.DataFrame(
        {
            "class_name": np.repeat(["a", "b"], [400, 200]),
            "group": [f"{c}{i // 5}" for c, n in (("a", 400), ("b", 200)) for i in range(n)],
            "split": None,
        }
    )
    drawn = [draw_fold(images, fold, **wanted)[0] for fold in range(4)]
    pd.testing.assert_series_equal(drawn[0], assign_splits(images, **wanted)[0])
    tested = [set(images["group"][splits == "test"]) for splits in drawn]
    assert sum(map(len, tested)) == len(set.union(*tested))
    for splits in drawn:
        shares = splits.groupby(images["class_name"]).value_counts(normalize=True).unstack()
        np.testing.assert_allclose(shares["test"], 0.25, rtol=0.5)
        np.testing.assert_allclose(shares["val"], 0.15, rtol=0.5)
        assert splits.groupby(images["group"]).nunique().eq(1).all()
    with pytest.raises(DatasetError, match=r"prepare.fold: .* fold \d has too few left"):
        draw_fold(images, 6, **wanted)


def test_a_fold_tests_what_the_source_gives_to_train():
    wanted = {"val_fraction": 0.15, "test_fraction": 0.25, "seed": 3}
    given = ["train"] * 60 + ["val"] * 15 + ["test"] * 25
    images = pd.DataFrame(
        {"class_name": "a", "group": [str(i) for i in range(100)], "split": given}
    )
    first, second = (draw_fold(images, fold, **wanted)[0] for fold in (0, 1))
    assert first.tolist() == given
    assert set(images["split"][second == "test"]) <= {"train", "val"}
