"""Find near-duplicates and keep them in one split.

A near-duplicate is the same picture compressed again, scaled, dimmed, or with faint noise: its
thumbnail, with mean 0 and deviation 1, hardly changes. Flipped copies are found if the dataset
allows flips, since training flips its images; crops are not found. `evaluate` uses the same
function, so it does not refuse what `prepare` accepted.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.cluster.hierarchy import DisjointSet
from scipy.linalg import eigh
from scipy.spatial import cKDTree

from ganaug.errors import DatasetError
from ganaug.preparing.checks import Candidate
from ganaug.thumbnails import combine, flip, standardise

USUAL_DISTANCE = 0.045  # what `prepare.near_duplicate_distance` is in params.yaml as shipped
AXES = 12  # of the search tree; a distance along few axes never exceeds the whole
NEIGHBOURS = 16  # to look at for each image; bounds memory if thousands are alike
ROWS_AT_A_TIME = 8192

Small = NDArray[Any]  # [N, D] uint8, or float32 once standardised


def join_near_duplicates(
    candidates: Sequence[Candidate], *, distance: float, symmetries: Sequence[str] = ()
) -> tuple[list[str], list[str]]:
    """Give near-duplicates, and all images in their groups, the group of the first of them.

    Args:
        candidates: in the source's order.
        distance: `prepare.near_duplicate_distance`, as everywhere here; join images nearer than
            this: root mean square between standardised thumbnails; 0 joins none.
        symmetries: flips ("hflip", "vflip") that keep the label.
    Returns:
        The group of each candidate (its own image_id if it has none), and sentences about what was
        joined.
    Raises:
        DatasetError: the source gives near-duplicates different splits.
    """
    together = np.frombuffer(b"".join(c.thumbnail for c in candidates), np.uint8)
    small = together.reshape(len(candidates), len(candidates[0].thumbnail) if candidates else 0)
    pairs = find_near_pairs(small, distance=distance, symmetries=symmetries).tolist()
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

    if torn:
        example = " and ".join(candidates[i].name for i in torn[0])
        raise DatasetError(
            f"{len(torn)} pairs of near-duplicates lie in two given splits, say "
            f"{example}: a test on them would be worthless; remove one image of each pair, or give "
            "both the same split"
        )
    notes = []
    if distance < USUAL_DISTANCE:
        notes.append(
            f"prepare.near_duplicate_distance is {distance:g}, below the usual {USUAL_DISTANCE:g}: "
            "slightly altered copies of one image may lie in train and in test, and nothing "
            "checks it"
        )
    if pairs:
        name, most = Counter(joined).most_common(1)[0]
        notes.append(
            f"{len(pairs)} pairs of near-duplicates are kept together; the largest "
            f"group, {name}, has {most} images"
        )
    return joined, notes


def find_near_pairs(
    small: Small, *, distance: float, symmetries: Sequence[str] = ()
) -> NDArray[np.intp]:
    """Find pairs of images nearer than `distance`, flipped or not: [P, 2] indices i < j, sorted.

    Args:
        small: [N, 256 C] thumbnails of 16 x 16 pixels, uint8, or float32 once standardised.
        distance: as in `join_near_duplicates`; 0 finds none.
        symmetries: flips to try, alone and combined.
    """
    if len(small) < 2 or distance == 0:
        return np.empty((0, 2), np.intp)
    axes = _leading_axes(small)
    tree = cKDTree(_project(small, axes, ()))
    found = [
        _close_in(tree, _project(small, axes, flips), small, distance, flips)
        for flips in combine(symmetries)
    ]
    return np.asarray(np.unique(np.concatenate(found), axis=0))


def _close_in(
    tree: cKDTree, queries: NDArray[np.float32], small: Small, distance: float, flips: Sequence[str]
) -> NDArray[np.intp]:
    """Find pairs i < j where one image, flipped this way, is near the other."""
    reach = distance * np.sqrt(small.shape[1])  # from root mean square to Euclidean
    k = min(NEIGHBOURS + 1, len(queries))
    candidates = [np.empty((0, 2), np.intp)]
    for rows in _batches(np.arange(len(queries))):
        asked = queries[rows]
        _, found = tree.query(asked, k=k, distance_upper_bound=reach * 1.001, workers=-1)
        image, neighbour = np.repeat(rows, k), found.ravel()
        close = (neighbour < len(queries)) & (image != neighbour)  # index N: no neighbour
        candidates.append(np.sort(np.stack([image, neighbour], axis=1)[close], axis=1))
    pairs = np.unique(np.concatenate(candidates), axis=0)
    near = [np.empty(0, np.bool_)]
    for part in _batches(pairs):
        one, other = flip(_standard(small[part[:, 0]]), flips), _standard(small[part[:, 1]])
        near.append(np.sqrt(((one - other) ** 2).mean(axis=1)) < distance)
    nearest: NDArray[np.intp] = pairs[np.concatenate(near)]
    return nearest


def _standard(small: Small) -> NDArray[np.float32]:
    return standardise(small) if small.dtype == np.uint8 else small.astype(np.float32, copy=False)


def _leading_axes(small: Small) -> NDArray[np.float64]:
    """[D, AXES], the directions in which standardised thumbnails differ most."""
    size = small.shape[1]
    scatter = np.zeros((size, size))
    for part in _batches(small):
        flat = _standard(part)
        scatter += flat.T @ flat
    return np.asarray(eigh(scatter, subset_by_index=(max(0, size - AXES), size - 1))[1])


def _project(small: Small, axes: NDArray[np.float64], flips: Sequence[str]) -> NDArray[np.float32]:
    """[N, AXES], standardised thumbnails, flipped so, along these axes."""
    parts = [flip(_standard(part), flips) @ axes for part in _batches(small)]
    return np.concatenate(parts).astype(np.float32)


def _batches(rows: NDArray[Any]) -> Iterator[NDArray[Any]]:
    return (rows[i : i + ROWS_AT_A_TIME] for i in range(0, len(rows), ROWS_AT_A_TIME))
