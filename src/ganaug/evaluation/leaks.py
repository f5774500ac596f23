"""The guard: no test image has reached anything that was trained or generated."""

from collections.abc import Iterator, Mapping
from itertools import combinations

import pandas as pd

from ganaug.errors import DatasetError

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
