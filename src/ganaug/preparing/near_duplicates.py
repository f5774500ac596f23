"""Images that show nearly the same, held together so that no two splits share them.

A near-duplicate is the same picture compressed again, scaled, dimmed, or with faint noise: its
thumbnail, set to mean 0 and deviation 1, hardly moves. Crops and flips are not found.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigh
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from ganaug.preparing.checks import Candidate

FAINT = 2.0  # of 255, added to the deviation, so that a nearly flat image's noise stays small
AXES = 12  # of the tree that finds neighbours; distances along few axes never exceed the whole
NEIGHBOURS = 16  # looked at for each image, which bounds memory where thousands are alike
ROWS_AT_A_TIME = 8192


def join_near_duplicates(
    candidates: Sequence[Candidate], *, distance: float
) -> tuple[list[Candidate], list[str]]:
    """Give near-duplicates, and whatever shares a group with one, the group of the first of them.

    Args:
        candidates: in the source's order.
        distance: between standardised thumbnails, root mean square, from which on two images are
            different ones; 0 joins none.
    Returns:
        The candidates in their order, and what was done, one sentence each. Images that the source
        puts in two splits stay where they are, and a note says so.
    """
    pairs = find_near_pairs([c.thumbnail for c in candidates], distance=distance)
    split = np.array([c.split or "" for c in candidates])
    first, second = split[pairs].T if len(pairs) else (np.empty(0), np.empty(0))
    torn = (first != second) & (first != "") & (second != "")
    notes = []
    if torn.any():
        names = " and ".join(candidates[i].name for i in pairs[torn][0])
        notes.append(
            f"{torn.sum()} pairs of near-duplicates lie in two of the splits that the source "
            f"gives, say {names}; results on them will flatter"
        )
    groups = [c.image_id if c.group is None else c.group for c in candidates]
    joined = _join(groups, pairs[~torn])
    moved = sum(a != b for a, b in zip(groups, joined, strict=True))
    if moved:
        name, most = Counter(joined).most_common(1)[0]
        notes.append(
            f"{len(pairs) - torn.sum()} pairs of near-duplicates are kept together; the largest "
            f"group, {name}, has {most} images"
        )
    kept = zip(candidates, groups, joined, strict=True)
    return [c if old == new else replace(c, group=new) for c, old, new in kept], notes


def find_near_pairs(thumbnails: Sequence[bytes], *, distance: float) -> NDArray[np.intp]:
    """[P, 2] indices i < j, sorted, of thumbnails of one length that are nearer than `distance`."""
    if len(thumbnails) < 2 or distance == 0:
        return np.empty((0, 2), np.intp)
    few = _project(thumbnails)
    reach = distance * np.sqrt(len(thumbnails[0]))  # from root mean square to Euclidean
    k = min(NEIGHBOURS + 1, len(few))
    _, found = cKDTree(few).query(few, k=k, distance_upper_bound=reach * 1.001, workers=-1)
    image, neighbour = np.repeat(np.arange(len(few)), k), found.ravel()
    close = (neighbour < len(few)) & (image != neighbour)  # where there is none, its index is N
    pairs = np.unique(np.sort(np.stack([image, neighbour], axis=1)[close], axis=1), axis=0)
    near = [
        np.sqrt(
            (
                (_standardise(thumbnails, part[:, 0]) - _standardise(thumbnails, part[:, 1])) ** 2
            ).mean(axis=1)
        )
        < distance
        for part in _batches(pairs)
    ]
    return pairs[np.concatenate(near)] if near else pairs


def _project(thumbnails: Sequence[bytes]) -> NDArray[np.float32]:
    """[N, AXES], standardised thumbnails along the axes on which they differ most."""
    numbers = np.arange(len(thumbnails))
    size = len(thumbnails[0])
    scatter = np.zeros((size, size))
    for part in _batches(numbers):
        flat = _standardise(thumbnails, part)
        scatter += flat.T @ flat
    _, axes = eigh(scatter, subset_by_index=(max(0, size - AXES), size - 1))
    parts = (_standardise(thumbnails, part) @ axes for part in _batches(numbers))
    return np.concatenate(list(parts)).astype(np.float32)


def _batches(rows: NDArray[np.intp]) -> list[NDArray[np.intp]]:
    return [rows[i : i + ROWS_AT_A_TIME] for i in range(0, len(rows), ROWS_AT_A_TIME)]


def _standardise(thumbnails: Sequence[bytes], rows: NDArray[np.intp]) -> NDArray[np.float32]:
    """[len(rows), D] float32."""
    flat = np.stack([np.frombuffer(thumbnails[i], np.uint8) for i in rows]).astype(np.float32)
    flat -= flat.mean(axis=1, keepdims=True)
    flat /= flat.std(axis=1, keepdims=True) + FAINT
    return flat


def _join(groups: Sequence[str], pairs: NDArray[np.intp]) -> list[str]:
    """The group of each image, joined ones under the name that comes first."""
    names, number = np.unique(np.array(groups, dtype=object).astype(str), return_inverse=True)
    left, right = number[pairs].T if len(pairs) else (number[:0], number[:0])
    links = coo_array((np.ones(len(left)), (left, right)), shape=(len(names), len(names)))
    _, part = connected_components(links, directed=False)
    first_of_part: dict[int, str] = {}
    for group, own in zip(groups, part[number].tolist(), strict=True):
        first_of_part.setdefault(own, group)
    return [first_of_part[own] for own in part[number].tolist()]
