"""Which real image a synthetic one was made from, as its row says."""

import numpy as np
import pandas as pd

from ganaug.images import Indices, Labels


def origin_rows(
    parents: "pd.Series[str]", labels: Labels, real_ids: "pd.Index[str]", real_labels: Labels
) -> Indices:
    """The real image that each synthetic one starts from, as its number among these; -1: none.

    That is the first of its parents, if it is of another class; a parent of the same class gave a
    detail only.

    Args:
        parents: [M] parent_id.
        labels: [M] of the synthetic images.
        real_ids, real_labels: [N]; an index of objects, which need not be turned into them.
    """
    first = [own.split()[0] if isinstance(own, str) else None for own in parents]
    rows: Indices = real_ids.get_indexer(pd.Index(first, dtype=object)).astype(np.int64)
    is_other = np.asarray(real_labels)[rows] != labels
    return np.where((rows >= 0) & is_other, rows, -1)
