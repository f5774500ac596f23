"""Which real image a synthetic one was made from, as its row says."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ganaug.images import Indices, Labels


def origin_rows(
    parents: "pd.Series[str]",
    labels: Labels,
    real_ids: "pd.Index[str] | Sequence[str] | NDArray[np.object_]",
    real_labels: Labels,
) -> Indices:
    """The real image that each synthetic one starts from, as its number among these; -1: none.

    That is the first of its parents, if it is of another class; a parent of the same class gave a
    detail only.

    Args:
        parents: [M] parent_id.
        labels: [M] of the synthetic images.
        real_ids, real_labels: [N]; an index of ids keeps its hash table from call to call.
    """
    known = real_ids if isinstance(real_ids, pd.Index) else pd.Index(real_ids, dtype=object)
    first = [own.split()[0] if isinstance(own, str) else None for own in parents]
    rows: Indices = known.get_indexer(pd.Index(first, dtype=object)).astype(np.int64)
    is_other = np.asarray(real_labels)[rows] != labels
    return np.where((rows >= 0) & is_other, rows, -1)
