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
from scipy.spatial import cKDTree

from ganaug.preparing.checks import Candidate
from ganaug.thumbnails import standardise

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
        The candidates in their order, and what was done, one sentence each. Images that are given
        two splits stay where they are, and a note says so.
    """
    pairs = find_near_pairs([c.thumbnail for c in candidates], distance=distance).tolist()
    groups = _Groups(candidates)
    torn = [pair for pair in pairs if not groups.join(*pair)]
    notes = []
    if torn:
        first = " and ".join(candidates[i].name for i in torn[0])
        notes.append(
            f"{len(torn)} pairs of near-duplicates lie in two of the splits that are given, say "
            f"{first}; evaluate stops, after the training, if it finds them too: remove one image "
            "of each pair"
        )
    if len(pairs) > len(torn):
        sizes = Counter(groups.name(i) for i in range(len(candidates)))
        name, most = sizes.most_common(1)[0]
        notes.append(
            f"{len(pairs) - len(torn)} pairs of near-duplicates are kept together; the largest "
            f"group, {name}, has {most} images"
        )
    names = [groups.name(i) for i in range(len(candidates))]
    kept = zip(candidates, names, strict=True)
    return [
        c if name in (c.group, c.image_id) else replace(c, group=name) for c, name in kept
    ], notes


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
        _distance(*(_standardise(thumbnails, side) for side in part.T)) < distance
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


def _distance(a: NDArray[np.float32], b: NDArray[np.float32]) -> NDArray[np.float32]:
    """Root mean square of the difference of each pair of rows."""
    squares: NDArray[np.float32] = ((a - b) ** 2).mean(axis=1)
    return np.sqrt(squares)


def _batches(rows: NDArray[np.intp]) -> list[NDArray[np.intp]]:
    return [rows[i : i + ROWS_AT_A_TIME] for i in range(0, len(rows), ROWS_AT_A_TIME)]


def _standardise(thumbnails: Sequence[bytes], rows: NDArray[np.intp]) -> NDArray[np.float32]:
    """[len(rows), D] float32."""
    flat = np.stack([np.frombuffer(thumbnails[i], np.uint8) for i in rows])
    return standardise(flat.astype(np.float32))


class _Groups:
    """Which groups are one; each knows the first of its images and the split it was given."""

    def __init__(self, candidates: Sequence[Candidate]) -> None:
        self._names = [c.image_id if c.group is None else c.group for c in candidates]
        self._above = {name: name for name in self._names}
        self._first = {name: i for i, name in reversed(list(enumerate(self._names)))}
        self._split = {
            name: c.split for name, c in zip(self._names, candidates, strict=True) if c.split
        }

    def name(self, image: int) -> str:
        """Of an image's group."""
        name = self._names[image]
        while self._above[name] != name:
            self._above[name] = self._above[self._above[name]]
            name = self._above[name]
        return name

    def join(self, one: int, other: int) -> bool:
        """Make the groups of two images one, unless they were given two splits."""
        first, later = sorted((self.name(one), self.name(other)), key=self._first.__getitem__)
        given = {self._split[name] for name in (first, later) if name in self._split}
        if len(given) > 1:
            return False
        if first != later:
            self._above[later] = first
            self._split.update((first, split) for split in given)
        return True
