"""The guard: no test image has reached anything that was trained or generated.

By hash and group, and by near-duplicate search: the same picture saved once more has another hash.
How near is too near depends on the data, so it is read off the training images: those of different
groups are different pictures, as train and test must be.
"""

from collections.abc import Iterator, Mapping
from itertools import combinations

import numpy as np
import pandas as pd

from ganaug.errors import DatasetError
from ganaug.evaluation.features import Features
from ganaug.evaluation.neighbours import near_duplicate_distance, nearest

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
    if problems:
        raise DatasetError(
            f"{'; '.join(problems)}. A verdict on this would be worthless: run the stages prepare, "
            "train and generate again"
        )


def check_no_near_duplicates(
    rows: Mapping[str, pd.DataFrame], features: Mapping[str, Features]
) -> None:
    """See that no image lies in two splits in slightly altered form.

    Args:
        rows: metadata of real images by split; "train" among them.
        features: [N, D] of the same images, in a space where a copy stays near: `thumbnails`.
    Raises:
        DatasetError: with the nearest pairs of splits that share a picture.
    """
    limit = near_duplicate_distance(features["train"], rows["train"]["group_id"])
    problems = []
    for one, other in combinations(rows, 2):
        distances, nearest_rows = nearest(features[other], features[one])
        near = np.flatnonzero(distances < limit)
        pairs = [
            f"{rows[other]['image_id'].iloc[i]} ~ {rows[one]['image_id'].iloc[nearest_rows[i]]}"
            for i in near[np.argsort(distances[near], kind="stable")]
        ]
        if pairs:
            problems.append(f"{other} and {one} share near duplicates: {_name(pairs)}")
    if problems:
        raise DatasetError(
            f"{'; '.join(problems)}. A verdict on this would be worthless: remove one image of "
            "each pair, or give both the same group, and run the pipeline again"
        )


def _shared(real: Mapping[str, pd.DataFrame]) -> Iterator[str]:
    for (one, rows), (other, more) in combinations(real.items(), 2):
        for column, what in (("image_id", "image"), ("group_id", "group")):
            both = sorted(set(rows[column]) & set(more[column]))
            if both:
                yield f"{one} and {other} share {what} {_name(both)}"


def _foreign(real: Mapping[str, pd.DataFrame], synthetic: pd.DataFrame) -> Iterator[str]:
    split_of = {i: split for split, rows in real.items() for i in rows["image_id"]}
    for row in synthetic.itertuples():
        if row.image_id in split_of:
            yield f"synthetic image {row.image_id} equals a real one of {split_of[row.image_id]}"
            break
    for column in ("nearest_id", "parent_id"):
        given = synthetic[synthetic[column].notna()]
        outside = given[~given[column].isin(real["train"]["image_id"])]
        if len(outside):
            pairs = [
                f"{a} -> {b}" for a, b in zip(outside["image_id"], outside[column], strict=True)
            ]
            yield f"synthetic rows whose {column} is no real training image: {_name(pairs)}"


def _name(offenders: list[str]) -> str:
    more = f" and {len(offenders) - SHOWN} more" if len(offenders) > SHOWN else ""
    return ", ".join(offenders[:SHOWN]) + more
