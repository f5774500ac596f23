"""Assign groups to train, val and test by a hash, so that new images move few old ones.

A group's split is a fixed function of (seed, salt, group id). The salt is the first of 0, 1, 2, ...
that gives every class about its wanted share. Classes that share groups share a salt. New images
move old ones only if they change the salt; `keep_splits` keeps the splits of an earlier version.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

from ganaug.errors import DatasetError
from ganaug.records import SPLITS
from ganaug.rng import derive_seed

TRAIN, VAL, TEST = range(len(SPLITS))
UNDECIDED = -1
# Of |share / wanted - 1|, per class; the first that any salt meets. The last refuses inf alone.
TOLERANCES = (0.25, 0.5, 1.0, np.finfo(np.float64).max)
NUM_SALTS = 4096
HASHES_AT_A_TIME = 2**17


@dataclass(frozen=True)
class _Groups:
    """Groups that are split together."""

    counts: csr_array  # [groups, classes], images
    keys: NDArray[np.uint64]  # [groups], a hash of (seed, group id)
    given: NDArray[np.int8]  # [groups], index into SPLITS, or UNDECIDED
    chance: NDArray[np.float64]  # [groups] to become test, 0..1
    wanted: tuple[float, float]  # shares of val and test, 0..1


def assign_splits(
    images: pd.DataFrame,
    *,
    val_fraction: float,
    test_fraction: float,
    seed: int,
    tested: "pd.Series[bool] | None" = None,
) -> tuple["pd.Series[str]", dict[str, int]]:
    """Split images by whole groups, near the wanted shares in every class.

    Args:
        images: one row per image; columns `class_name`, `group` (str) and `split`: given for the
            whole group, or null.
        val_fraction: wanted share of the images of every class in val, 0..1.
        test_fraction: the same for test.
        seed: another seed gives another draw.
        tested: which images must not become test, none or whole groups.
    Returns:
        A split per row, and the salt of every class.
    Raises:
        DatasetError: a group is given two splits, or a class can't be in all three.
    """
    given = _given_splits(images)
    classes, label = np.unique(images["class_name"].to_numpy(str), return_inverse=True)
    group = given.index.get_indexer(pd.Index(images["group"]))
    counts = csr_array((np.ones(len(images)), (group, label)), shape=(len(given), len(classes)))
    _require_groups(counts, classes)
    derived = [derive_seed(seed, "prepare", "split", g) for g in given.index.tolist()]
    keys = np.array(derived, np.uint64)

    spent = np.zeros(len(given), bool)
    if tested is not None:
        spent[group[tested]] = True
    left = max(1 - spent[group].mean(), test_fraction)
    chance = np.where(spent, 0.0, test_fraction / left)
    splits: NDArray[np.int8] = given.to_numpy().astype(np.int8)
    salts: dict[str, int] = {}
    wanted = (val_fraction, test_fraction)
    for rows, columns in _parts(counts):
        groups = _Groups(counts[rows][:, columns], keys[rows], splits[rows], chance[rows], wanted)
        salt = _first_salt(groups)
        if salt is None:
            raise DatasetError(_explain_no_salt(groups, classes[columns]))
        splits[rows] = _draw(groups, np.array([salt]))[0]
        salts |= dict.fromkeys(classes[columns].tolist(), salt)
    return pd.Series(np.array(SPLITS)[splits[group]], index=images.index, dtype="str"), salts


def complete_given_splits(
    images: pd.DataFrame, *, val_fraction: float, test_fraction: float, seed: int
) -> tuple["pd.Series[str]", list[str]]:
    """Complete the splits of a source that gives fewer than three.

    Many datasets come as train and test, or as train and val. The held-out part becomes test; val
    is drawn from train. Train alone counts as no split.

    Args:
        images: as in `assign_splits`, which then takes the result as its column `split`.
        val_fraction, test_fraction, seed: likewise.
    Returns:
        A split per row, null where `assign_splits` decides, and a sentence about the change.
    Raises:
        DatasetError: a class of train has too few groups to give some to val.
    """
    given = images["split"]
    named = set(given.dropna())
    if given.isna().any() or named not in ({"train"}, {"train", "test"}, {"train", "val"}):
        return given, []
    if named == {"train"}:
        return given.where(given.isna(), None), []
    train = images[given == "train"].assign(split=None)
    # The draw is into three: two halves of the share, and both become val.
    half = val_fraction / (1 - test_fraction) / 2
    drawn, _ = assign_splits(train, val_fraction=half, test_fraction=half, seed=seed)
    completed = given.where(given == "train", "test")
    completed.loc[train.index] = drawn.where(drawn == "train", "val")
    held_out = (named - {"train"}).pop()
    renamed = "" if held_out == "test" else f" {held_out} is used as test,"
    return completed, [f"the source gives train and {held_out} only:{renamed} val is from train"]


def draw_fold(
    images: pd.DataFrame, fold: int, *, val_fraction: float, test_fraction: float, seed: int
) -> tuple["pd.Series[str]", dict[str, int]]:
    """Splits of an outer fold: `assign_splits` is fold 0; no group is test in two folds.

    What a source gives holds in fold 0 alone: in the others its train images are tested too.

    Args:
        images, val_fraction, test_fraction, seed: as in `assign_splits`.
        fold: from 0 on; about 1 / test_fraction of them can be had.
    Raises:
        DatasetError: as there, or too few groups are left.
    """
    draw = partial(assign_splits, val_fraction=val_fraction, test_fraction=test_fraction, seed=seed)
    splits, salts = draw(images)
    tested = splits == "test"
    for number in range(1, fold + 1):
        if tested.mean() + test_fraction > 1 + test_fraction / 2:
            raise DatasetError(
                f"prepare.fold: {number} folds test {tested.mean():.0%} of the images already; "
                f"fold {number} has too few left for test_fraction {test_fraction:g}"
            )
        splits, salts = draw(images.assign(split=None), tested=tested)
        tested |= splits == "test"
    return splits, salts


def thin_train(
    images: pd.DataFrame, *, fraction: float, numbers: Mapping[str, int], seed: int
) -> "pd.Series[bool]":
    """Choose the images to keep in a smaller train; a smaller share is a subset of a larger one.

    Args:
        images: columns `class_name`, `split`, all given, and `image_id`.
        fraction: of each class's training images, 0 < fraction <= 1.
        numbers: images to keep, by class, instead of the fraction.
        seed: of the choice.
    Raises:
        DatasetError: an unknown class.
    """
    sizes = Counter(images.loc[images["split"] == "train", "class_name"].tolist())
    if unknown := sorted(set(numbers) - set(sizes)):
        raise DatasetError(
            f"prepare.keep_train: no class {', '.join(map(repr, unknown))}; there are "
            f"{', '.join(sorted(sizes))}"
        )
    most = {c: numbers.get(c, round(size * fraction)) for c, size in sizes.items()}
    drawn = images["image_id"].map(lambda i: derive_seed(seed, "prepare", "thin", i))
    rank = drawn.groupby([images["split"], images["class_name"]]).rank()
    return (images["split"] != "train") | (rank <= images["class_name"].map(most))


def _given_splits(images: pd.DataFrame) -> "pd.Series[int]":
    """Index into SPLITS by group id, sorted; UNDECIDED if the source gives none."""
    numbers = images["split"].map({name: number for number, name in enumerate(SPLITS)})
    strange = images["split"].notna() & numbers.isna()
    if strange.any():
        value = images.loc[strange, "split"].iloc[0]
        raise DatasetError(f"the source gives split {value!r}; expected {', '.join(SPLITS)}")
    by_group = numbers.groupby(images["group"].to_numpy(str)).agg(["min", "max"])
    torn = by_group[by_group["min"] < by_group["max"]]
    if len(torn):
        raise DatasetError(
            f"the source puts group {torn.index[0]!r} in two splits; give all its images one"
        )
    return by_group["min"].fillna(UNDECIDED).astype("int8")


def _require_groups(counts: csr_array, classes: NDArray[np.str_]) -> None:
    num_groups = (counts > 0).sum(axis=0)
    if num_groups.min() < len(SPLITS):
        poorest = int(num_groups.argmin())
        raise DatasetError(
            f"class {str(classes[poorest])!r} has images of {num_groups[poorest]} group(s) only; "
            f"{', '.join(SPLITS)} each need one: add images of other groups or merge the class "
            "with another"
        )


def _parts(counts: csr_array) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp]]]:
    """Rows and columns of each set of classes linked by groups."""
    num_parts, part_of_class = connected_components(counts.T @ counts, directed=False)
    part_of_group = part_of_class[counts.indices[counts.indptr[:-1]]]  # of its first class
    order = np.argsort(part_of_group, kind="stable")
    ends = np.cumsum(np.bincount(part_of_group, minlength=num_parts))
    for part, rows in enumerate(np.split(order, ends[:-1])):
        yield rows, np.flatnonzero(part_of_class == part)


def _first_salt(groups: _Groups) -> int | None:
    """The first salt that meets the tightest tolerance any salt meets; else None."""
    num_salts = NUM_SALTS if (groups.given == UNDECIDED).any() else 1
    step = max(1, HASHES_AT_A_TIME // len(groups.keys))
    deviations: list[NDArray[np.float64]] = []
    for start in range(0, num_salts, step):
        salts = np.arange(start, min(start + step, num_salts))
        deviations.append(_deviations(groups, _draw(groups, salts)))
        if deviations[-1].min() <= TOLERANCES[0]:
            break
    tolerance = np.searchsorted(TOLERANCES, np.concatenate(deviations))  # the first that each meets
    salt = int(tolerance.argmin())
    return salt if tolerance[salt] < len(TOLERANCES) else None


def _draw(groups: _Groups, salts: NDArray[np.int64]) -> NDArray[np.int8]:
    """[salts, groups] index into SPLITS; given ones stay."""
    val, test = groups.wanted
    held_out = groups.chance + (1 - groups.chance) * val / (1 - test)
    u = _uniform(groups.keys, salts.astype(np.uint64))
    drawn = np.where(u < groups.chance, TEST, np.where(u < held_out, VAL, TRAIN)).astype(np.int8)
    return np.where(groups.given == UNDECIDED, drawn, groups.given)


def _uniform(keys: NDArray[np.uint64], salts: NDArray[np.uint64]) -> NDArray[np.float64]:
    """[salts, keys] in [0, 1): the outputs of splitmix64 started from each key."""
    x = keys[None, :] + (salts[:, None] + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    x ^= x >> np.uint64(31)
    return np.asarray((x >> np.uint64(11)) * 2.0**-53)


def _deviations(groups: _Groups, splits: NDArray[np.int8]) -> NDArray[np.float64]:
    """[salts] worst |share / wanted - 1| of a class; inf where a split lacks a class."""
    parts = [groups.counts.T @ (splits == split).T.astype(float) for split in (TRAIN, VAL, TEST)]
    images = np.stack(parts)  # [splits, classes, salts]
    shares = images[[VAL, TEST]] / images.sum(axis=0)
    worst = np.abs(shares / np.reshape(groups.wanted, (2, 1, 1)) - 1).max(axis=(0, 1))
    return np.where((images == 0).any(axis=(0, 1)), np.inf, worst)


def _explain_no_salt(groups: _Groups, classes: NDArray[np.str_]) -> str:
    names = ", ".join(classes.tolist())
    if (groups.given != UNDECIDED).all():
        return (
            f"the splits that the source gives leave a class of {names} out of one of "
            f"{', '.join(SPLITS)}; each needs every class"
        )
    return (
        f"no way found to put every class of {names} in {', '.join(SPLITS)}: the images come "
        f"from {len(groups.keys)} groups; add groups, or bring prepare.val_fraction and "
        "prepare.test_fraction nearer to a third"
    )
