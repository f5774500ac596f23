"""The guard: no test image has reached anything that was trained or generated.

By hash and group, and by near-duplicate search: the same picture saved once more has another hash.
That search is the one by which `prepare` holds near-duplicates together.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations

import numpy as np
import pandas as pd

from ganaug.errors import DatasetError
from ganaug.preparing.near_duplicates import find_near_pairs
from ganaug.quality.features import Features

SHOWN = 3  # offenders named in an error


def check_no_leak(real: Mapping[str, pd.DataFrame], synthetic: pd.DataFrame) -> None:
    """See that splits share nothing and that synthetic rows come from train alone.

    Args:
        real: metadata rows of real images by split; "train" among them.
        synthetic: metadata rows of synthetic images, perhaps none.
    Raises:
        DatasetError: with every broken rule and the first offenders: an image or a group lies in
            two splits; a synthetic image equals a real one; its nearest or parent image is not a
            real training image.
    """
    problems = [*_shared(real), *_foreign(real, synthetic)]
    _refuse(problems, mend="run the stages prepare, train and generate again")


def check_no_near_duplicates(
    rows: Mapping[str, pd.DataFrame],
    features: Mapping[str, Features],
    *,
    symmetries: Sequence[str],
    distance: float,
) -> None:
    """See that no image lies in two splits in slightly altered form, flipped or not.

    Args:
        rows: metadata of real images by split.
        features: [N, 256 C] `thumbnails` of the same images.
        symmetries: flips in which an image is still the same picture.
        distance: `prepare.near_duplicate_distance`; 0 lets everything pass.
    Raises:
        DatasetError: with pairs of splits that share a picture.
    """
    names = pd.concat([rows[split]["image_id"] for split in rows], ignore_index=True)
    splits = np.repeat(list(rows), [len(own) for own in rows.values()])
    together = np.concatenate([features[split] for split in rows])
    pairs = find_near_pairs(together, distance=distance, symmetries=symmetries)
    problems = []
    for one, other in combinations(rows, 2):
        shared = [
            f"{names[j]} ~ {names[i]}" for i, j in pairs if splits[i] == one and splits[j] == other
        ]
        if shared:
            problems.append(f"{other} and {one} share near duplicates: {_name(shared)}")
    mend = "remove one image of each pair, or give both the same group, and run the pipeline again"
    _refuse(problems, mend=mend)


def _refuse(problems: Sequence[str], *, mend: str) -> None:
    if problems:
        listed = "; ".join(problems)
        raise DatasetError(f"{listed}. A verdict on this would be worthless: {mend}")


def _shared(real: Mapping[str, pd.DataFrame]) -> Iterator[str]:
    for (one, rows), (other, more) in combinations(real.items(), 2):
        for column, what in (("image_id", "image"), ("group_id", "group")):
            both = sorted(set(rows[column]) & set(more[column]))
            if both:
                yield f"{one} and {other} share {what} {_name(both)}"


def _foreign(real: Mapping[str, pd.DataFrame], synthetic: pd.DataFrame) -> Iterator[str]:
    split_of = {i: split for split, rows in real.items() for i in rows["image_id"]}
    if twins := [i for i in synthetic["image_id"] if i in split_of]:
        yield f"synthetic image {twins[0]} equals a real one of {split_of[twins[0]]}"
    for column in ("nearest_id", "parent_id"):
        named = synthetic[["image_id", column]].dropna()
        named = named.assign(**{column: named[column].str.split()}).explode(column)
        outside = named[~named[column].isin(real["train"]["image_id"])]
        if len(outside):
            pairs = [
                f"{a} -> {b} (of {split_of.get(b, 'no split')})" for a, b in outside.to_numpy()
            ]
            yield f"synthetic rows whose {column} is no real training image: {_name(pairs)}"


def _name(offenders: list[str]) -> str:
    more = f" and {len(offenders) - SHOWN} more" if len(offenders) > SHOWN else ""
    return ", ".join(offenders[:SHOWN]) + more
