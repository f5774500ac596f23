"""Images that show nearly the same, held together so that no two splits share them.

A near-duplicate is the same picture compressed again, scaled, dimmed, or with faint noise: its
thumbnail, set to mean 0 and deviation 1, hardly moves. Crops and flips are not found.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy.cluster.hierarchy import DisjointSet
from scipy.linalg import eigh
from scipy.spatial import cKDTree

from ganaug.preparing.checks import Candidate
from ganaug.thumbnails import standardise

AXES = 12  # of the tree that finds neighbours; distances along few axes never exceed the whole
NEIGHBOURS = 16  # looked at for each image, which bounds memory where thousands are alike
ROWS_AT_A_TIME = 8192

Row = TypeVar("Row", np.uint8, np.intp)


def join_near_duplicates(
    candidates: Sequence[Candidate], *, distance: float
) -> tuple[list[str], list[str]]:
    """Give near-duplicates, and whatever shares a group with one, the group of the first of them.

    Args:
        candidates: in the source's order.
        distance: between standardised thumbnails, root mean square, from which on two images are
            different ones; 0 joins none.
    Returns:
        The group of each candidate, its own image_id where it stands alone, and what was done, one
        sentence each. Images that are given two splits stay apart, and a note says so.
    """
    pairs = find_near_pairs([c.thumbnail for c in candidates], distance=distance).tolist()
    names = [c.image_id if c.group is None else c.group for c in candidates]
    groups = DisjointSet(names)
    split_of = {name: c.split for name, c in zip(names, candidates, strict=True) if c.split}
    torn = []
    for i, j in pairs:
        one, other = groups[names[i]], groups[names[j]]
        given = {split_of[name] for name in (one, other) if name in split_of}
        if len(given) > 1:
            torn.append((i, j))
            continue
        groups.merge(one, other)
        split_of.update((groups[one], split) for split in given)
    first: dict[str, str] = {}
    joined = [first.setdefault(groups[name], name) for name in names]

    notes = []
    if torn:
        example = " and ".join(candidates[i].name for i in torn[0])
        notes.append(
            f"{len(torn)} pairs of near-duplicates lie in two of the splits that are given, say "
            f"{example}; evaluate stops, after the training, if it finds them too: remove one "
            "image of each pair"
        )
    if len(pairs) > len(torn):
        name, most = Counter(joined).most_common(1)[0]
        notes.append(
            f"{len(pairs) - len(torn)} pairs of near-duplicates are kept together; the largest "
            f"group, {name}, has {most} images"
        )
    return joined, notes


def find_near_pairs(thumbnails: Sequence[bytes], *, distance: float) -> NDArray[np.intp]:
    """[P, 2] indices i < j, sorted, of thumbnails of one length that are nearer than `distance`."""
    if len(thumbnails) < 2 or distance == 0:
        return np.empty((0, 2), np.intp)
    small = np.frombuffer(b"".join(thumbnails), np.uint8).reshape(len(thumbnails), -1)
    few = _project(small)
    reach = distance * np.sqrt(small.shape[1])  # from root mean square to Euclidean
    k = min(NEIGHBOURS + 1, len(few))
    _, found = cKDTree(few).query(few, k=k, distance_upper_bound=reach * 1.001, workers=-1)
    image, neighbour = np.repeat(np.arange(len(few)), k), found.ravel()
    close = (neighbour < len(few)) & (image != neighbour)  # where there is none, its index is N
    pairs = np.unique(np.sort(np.stack([image, neighbour], axis=1)[close], axis=1), axis=0)
    near = [np.empty(0, np.bool_)]
    for part in _batches(pairs):
        one, other = (standardise(small[side].astype(np.float32)) for side in part.T)
        near.append(np.sqrt(((one - other) ** 2).mean(axis=1)) < distance)
    nearest: NDArray[np.intp] = pairs[np.concatenate(near)]
    return nearest


def _project(small: NDArray[np.uint8]) -> NDArray[np.float32]:
    """[N, AXES], standardised thumbnails along the axes on which they differ most."""
    size = small.shape[1]
    scatter = np.zeros((size, size))
    for part in _batches(small):
        flat = standardise(part.astype(np.float32))
        scatter += flat.T @ flat
    _, axes = eigh(scatter, subset_by_index=(max(0, size - AXES), size - 1))
    parts = [standardise(part.astype(np.float32)) @ axes for part in _batches(small)]
    return np.concatenate(parts).astype(np.float32)


def _batches(rows: NDArray[Row]) -> Iterator[NDArray[Row]]:
    return (rows[i : i + ROWS_AT_A_TIME] for i in range(0, len(rows), ROWS_AT_A_TIME))
