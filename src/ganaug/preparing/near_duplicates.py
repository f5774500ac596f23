"""Images that show nearly the same, held together so that no two splits share them.

A near-duplicate is the same picture compressed again, scaled, dimmed, or with faint noise: its
thumbnail, set to mean 0 and deviation 1, hardly moves. Flips are found where the dataset's images
may be flipped, since a flipped copy is then one that training sees; crops are not found. `evaluate`
asks the same question with the same function, so that it refuses nothing that `prepare` accepted.
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

DISTANCE = 0.045  # of `prepare.near_duplicate_distance` as shipped, and of `evaluate`
AXES = 12  # of the tree that finds neighbours; distances along few axes never exceed the whole
NEIGHBOURS = 16  # looked at for each image, which bounds memory where thousands are alike
ROWS_AT_A_TIME = 8192

Small = NDArray[Any]  # [N, D] uint8, or float32 once standardised


def join_near_duplicates(
    candidates: Sequence[Candidate], *, distance: float, symmetries: Sequence[str] = ()
) -> tuple[list[str], list[str]]:
    """Give near-duplicates, and whatever shares a group with one, the group of the first of them.

    Args:
        candidates: in the source's order.
        distance: between standardised thumbnails, root mean square, from which on two images are
            different ones; 0 joins none.
        symmetries: flips, of "hflip" and "vflip", in which an image is still the same picture.
    Returns:
        The group of each candidate, its own image_id where it stands alone, and what was done, one
        sentence each.
    Raises:
        DatasetError: near-duplicates are given two splits.
    """
    thumbnails = [c.thumbnail for c in candidates]
    pairs = find_near_pairs(thumbnails, distance=distance, symmetries=symmetries).tolist()
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
            f"{len(torn)} pairs of near-duplicates lie in two of the splits that are given, say "
            f"{example}: a test on them would be worthless; remove one image of each pair, or give "
            "both the same split"
        )
    notes = []
    if distance < DISTANCE:
        notes.append(
            f"prepare.near_duplicate_distance is {distance:g}: evaluate stops, after the training, "
            f"if images of two splits are nearer than {DISTANCE:g}"
        )
    if pairs:
        name, most = Counter(joined).most_common(1)[0]
        notes.append(
            f"{len(pairs)} pairs of near-duplicates are kept together; the largest "
            f"group, {name}, has {most} images"
        )
    return joined, notes


def find_near_pairs(
    thumbnails: Sequence[bytes] | NDArray[np.float32],
    *,
    distance: float,
    symmetries: Sequence[str] = (),
) -> NDArray[np.intp]:
    """[P, 2] indices i < j, sorted, of images that are nearer than `distance`, flipped or not.

    Args:
        thumbnails: of 16 x 16 pixels each, as bytes of one length; or standardised ones [N, 256 C].
        distance: root mean square, between standardised thumbnails; 0 finds none.
        symmetries: flips that may lie between two images, alone or together.
    """
    if len(thumbnails) < 2 or distance == 0:
        return np.empty((0, 2), np.intp)
    small: Small
    if isinstance(thumbnails, np.ndarray):
        small = thumbnails
    else:
        small = np.frombuffer(b"".join(thumbnails), np.uint8).reshape(len(thumbnails), -1)
    axes = _leading_axes(small)
    few = _project(small, axes, ())
    tree = cKDTree(few)
    found = [
        _close_in(tree, few if not flips else _project(small, axes, flips), small, distance, flips)
        for flips in combine(symmetries)
    ]
    pairs: NDArray[np.intp] = np.unique(np.concatenate(found), axis=0)
    return pairs


def _close_in(
    tree: cKDTree, queries: NDArray[np.float32], small: Small, distance: float, flips: Sequence[str]
) -> NDArray[np.intp]:
    """Pairs i < j of images of which one, flipped so, is near the other."""
    reach = distance * np.sqrt(small.shape[1])  # from root mean square to Euclidean
    k = min(NEIGHBOURS + 1, len(queries))
    _, found = tree.query(queries, k=k, distance_upper_bound=reach * 1.001, workers=-1)
    image, neighbour = np.repeat(np.arange(len(queries)), k), found.ravel()
    close = (neighbour < len(queries)) & (image != neighbour)  # where none is, its index is N
    pairs = np.unique(np.sort(np.stack([image, neighbour], axis=1)[close], axis=1), axis=0)
    near = [np.empty(0, np.bool_)]
    for part in _batches(pairs):
        one, other = flip(_standard(small[part[:, 0]]), flips), _standard(small[part[:, 1]])
        near.append(np.sqrt(((one - other) ** 2).mean(axis=1)) < distance)
    nearest: NDArray[np.intp] = pairs[np.concatenate(near)]
    return nearest


def _standard(small: Small) -> NDArray[np.float32]:
    if small.dtype == np.uint8:
        return standardise(small.astype(np.float32))
    return small.astype(np.float32, copy=False)


def _leading_axes(small: Small) -> NDArray[np.float64]:
    """[D, AXES], the directions in which standardised thumbnails differ most."""
    size = small.shape[1]
    scatter = np.zeros((size, size))
    for part in _batches(small):
        flat = _standard(part)
        scatter += flat.T @ flat
    axes: NDArray[np.float64]
    _, axes = eigh(scatter, subset_by_index=(max(0, size - AXES), size - 1))
    return axes


def _project(small: Small, axes: NDArray[np.float64], flips: Sequence[str]) -> NDArray[np.float32]:
    """[N, AXES], standardised thumbnails, flipped so, along these axes."""
    parts = [flip(_standard(part), flips) @ axes for part in _batches(small)]
    return np.concatenate(parts).astype(np.float32)


def _batches(rows: NDArray[Any]) -> Iterator[NDArray[Any]]:
    return (rows[i : i + ROWS_AT_A_TIME] for i in range(0, len(rows), ROWS_AT_A_TIME))
