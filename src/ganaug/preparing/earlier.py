"""Images of an earlier version stay in the split that they had there, however many are added.

Without this the split is a hash whose salt depends on the images, so that new ones may move old
ones; no rule that sees a group alone could both hold still and put every class in every split.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from ganaug.errors import DatasetError
from ganaug.preparing.checks import Candidate
from ganaug.shards import read_rows


def keep_splits(candidates: Sequence[Candidate], folder: Path) -> list[Candidate]:
    """The candidates, those that an earlier version held with their split of then.

    Args:
        candidates: which may have splits of the source's; these stand.
        folder: of the earlier version's shards: prepared, or merged.
    Raises:
        DatasetError: it holds no shards, or none of these images.
    """
    paths = sorted(folder.glob("*-*.parquet"))
    if not paths:
        raise DatasetError(f"prepare.keep_splits: {folder} holds no shards of an earlier version")
    rows, _ = read_rows(paths)
    real = rows[rows["source"] == "real"]
    known = dict(zip(real["image_id"], real["split"], strict=True))
    if not any(candidate.image_id in known for candidate in candidates):
        raise DatasetError(
            f"prepare.keep_splits: {folder} holds none of these images; it must have been prepared "
            "with the same prepare.resolution and prepare.channels"
        )
    return [c if c.split else replace(c, split=known.get(c.image_id)) for c in candidates]
