"""Compare a synthetic image with the real ones of its class and those accepted before."""

from collections.abc import Iterator, Sequence
from functools import partial
from itertools import chain

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.spatial import KDTree

from ganaug.images import Groups, Indices, Labels, Pixels
from ganaug.quality.lineage import origin_rows
from ganaug.quality.neighbours import (
    TINY,
    Cells,
    copy_ratios,
    distances_between,
    nearest,
    nearest_others,
    spread_out,
    squared_distances,
)
from ganaug.thumbnails import AXES, combine, flip, shrink, standardise, thumbnails

BALL_NEIGHBOURS = 3  # that a real image's ball reaches to, as in the paper of the realism score
COPY_PERCENTILE = 1.0  # per cent of real images that would count as copies of each other
# Of the nearest distances between groups of train, 1 % lie below the quantile `USUAL`. A third of
# it is left alone by all pairs of elpv (least: 0.74 of it) and digits (0.52). Noise of 2 grey
# levels stays below it for over 90 % of elpv's images and all digits, and so do changes of
# brightness by 5 %.
USUAL = 0.01
NEAR = 1 / 3
BLOCK = 4096  # images in memory at a time
MOST_ASKED = 2000  # images of a class that this limit is read off
NUM_COMPONENTS = 32  # of thumbnails
ROUNDING = 1 + 1e-4  # of float32
MOST_BALLS = 4096  # of a class, and images that the limit for copies is read off


class RealNeighbours:
    """The real images of one class in a feature space.

    Of a large class `MOST_BALLS` images, evenly spaced, have balls, and the nearest ones are looked
    for in cells around these.

    Args:
        features: [N, D], N > 1; balls reach to fewer than `BALL_NEIGHBOURS` others if N is less.
        ratios: copy ratios that real images have, to tell copies by; None takes those of these
            images, see `copy_ratios`.
    """

    def __init__(
        self, features: NDArray[np.floating], ratios: NDArray[np.float64] | None = None
    ) -> None:
        self._features = features
        centres = spread_out(len(features), MOST_BALLS)
        is_sampled = len(centres) < len(features)
        self._nearest = (
            Cells(features, centres).nearest if is_sampled else partial(nearest, pool=features)
        )
        num = min(BALL_NEIGHBOURS, len(features) - 1)
        radius = nearest_others(features[centres], k=num)[0][:, -1]
        self._unit = max(float(np.median(radius)), TINY)
        # Wide balls around outliers would make any image realistic.
        trusted = radius <= np.median(radius)
        self._balls, self._radius = features[centres[trusted]], radius[trusted]
        if ratios is None:
            ratios = own_copy_ratios(features)
        self._copy_below = float(np.percentile(ratios, COPY_PERCENTILE))

    def locate(self, features: NDArray[np.floating]) -> pd.DataFrame:
        """Locate M images, [M, D].

        Returns:
            M rows of
            - realism: >= 0; 1 is the edge of the nearest real ball
            - nearest: index of the nearest real image
            - nearest_distance: to it, in units of the real images' median ball radius
            - is_copy: whether it is closer to that image than real images are to each other
        Source: realism is that of Kynkaanniemi et al. 2019, arXiv:1904.06991, equation 4, with the
        wider half of the balls left out; the copy test compares with the real image's own nearest
        neighbour as in Alaa et al. 2022, arXiv:2102.08921, with a threshold calibrated on real
        images.
        """
        realism = np.empty(len(features))
        for rows, block in squared_distances(features, self._balls):
            realism[rows] = (self._radius / np.maximum(np.sqrt(block), TINY)).max(axis=1)
        closest, found = self._nearest(features)
        known, place = np.unique(found, return_inverse=True)
        reach = self._nearest(self._features[known], but=known)[0][place]
        return pd.DataFrame(
            {
                "realism": realism,
                "nearest": found,
                "nearest_distance": closest / self._unit,
                "is_copy": closest / np.maximum(reach, TINY) < self._copy_below,
            }
        )


def own_copy_ratios(features: NDArray[np.floating]) -> NDArray[np.float64]:
    """Copy ratios of real images of one class, [N, D], at most `MOST_BALLS`."""
    return copy_ratios(features, asked=spread_out(len(features), MOST_BALLS))[1]


class RealImages:
    """What is known of the real training images, in their order.

    Args:
        ids: image_id of each.
        labels: [N].
        images: [N, H, W, C] uint8.
    """

    def __init__(self, ids: Sequence[str], labels: Labels, images: Pixels) -> None:
        self.ids, self._labels, self._images = pd.Index(list(ids), dtype=object), labels, images

    def are_unchanged(
        self, images: Pixels, facts: pd.DataFrame, *, min_distance: float
    ) -> NDArray[np.bool_]:
        """Whether each image is still, flipped or not, the one of another class it starts from.

        Args:
            images: [M, H, W, C].
            facts: M rows with the label that was asked for and parent_id.
            min_distance: of thumbnails; nearer ones are the same picture.
        """
        labels = facts["label"].to_numpy()
        rows = origin_rows(facts["parent_id"], labels, self.ids, self._labels)
        if (rows < 0).all():
            return np.zeros(len(rows), bool)
        small, starts = thumbnails(images), thumbnails(self._images[rows])
        ways = [np.linalg.norm(flip(small, way) - starts, axis=1) for way in combine(AXES)]
        is_same: NDArray[np.bool_] = np.min(ways, axis=0) < min_distance
        return is_same & (rows >= 0)


def repeat_distances(
    images: Pixels, labels: Labels, groups: Sequence[str], *, class_names: Sequence[str]
) -> dict[str, float]:
    """By class, the distance of thumbnails below which two images of it are one picture.

    Args:
        images: [N, H, W, C] uint8, the real training images.
        labels: [N] indices into `class_names`.
        groups: [N] group ids; a class in a single group gets 0.
        class_names: K of them.
    """
    codes = pd.factorize(np.array(groups, dtype=object))[0]
    rows = {name: np.flatnonzero(labels == label) for label, name in enumerate(class_names)}
    return {name: _limit_of(images, own, codes[own]) for name, own in rows.items()}


def blocks_of(images: Pixels, rows: Indices | None = None) -> Iterator[tuple[slice, Pixels]]:
    """Blocks (which rows of some, or of all; their images [B, ...]); a map stays on the disk."""
    rows = np.arange(len(images)) if rows is None else rows
    for start in range(0, len(rows), BLOCK):
        own = slice(start, min(start + BLOCK, len(rows)))
        yield own, images[rows[own]]


def _limit_of(images: Pixels, rows: Indices, groups: Groups) -> float:
    asked = spread_out(len(rows), MOST_ASKED)
    small = thumbnails(images[rows[asked]])
    least = np.full(len(asked), np.inf)
    for own, others in blocks_of(images, rows):
        for some, block in squared_distances(small, thumbnails(others)):
            block[groups[asked[some], None] == groups[own]] = np.inf
            least[some] = np.minimum(least[some], block.min(axis=1))
    between = np.sqrt(least[np.isfinite(least)])
    return float(NEAR * np.quantile(between, USUAL)) if len(between) else 0.0


class Apart:
    """Images of one class, without near-duplicates.

    Args:
        min_distance: Euclidean, between two thumbnails.
    """

    def __init__(self, min_distance: float) -> None:
        self.min_distance = min_distance
        self._full: list[_Block] = []
        self._rest: NDArray[np.uint8] | None = None  # admitted after these, shrunk

    def admit(self, images: Pixels) -> NDArray[np.bool_]:
        """Which of [M, H, W, C] to admit, one after another, in batches of any size."""
        shrunk = np.rint(shrink(images)).astype(np.uint8)
        own, rest = standardise(shrunk), shrunk[:0] if self._rest is None else self._rest
        admitted = np.ones(len(own), bool)
        for block in self._full:
            admitted &= ~block.has_near(own, self.min_distance)
        earlier = distances_between(own, standardise(rest))
        admitted &= (earlier >= self.min_distance).all(axis=1)
        near = distances_between(own, own) < self.min_distance
        for i in np.flatnonzero(admitted):
            admitted[i] = not near[i, :i][admitted[:i]].any()
        self._rest = np.concatenate([rest, shrunk[admitted]])
        if len(self._rest) >= BLOCK:
            self._index(self._rest)
            self._rest = None
        return admitted

    def _index(self, shrunk: NDArray[np.uint8]) -> None:
        """Merge with smaller blocks, so that there are few, each at least twice the next."""
        while self._full and len(self._full[-1].shrunk) < 2 * len(shrunk):
            shrunk = np.concatenate([self._full.pop().shrunk, shrunk])
        self._full.append(_Block(shrunk))


class _Block:
    """Shrunk images [N, D] uint8 in a tree over the principal components of their thumbnails.

    No distance is larger on these alone, so what is not near there need not be compared.
    """

    def __init__(self, shrunk: NDArray[np.uint8]) -> None:
        self.shrunk = shrunk
        some = standardise(shrunk[spread_out(len(shrunk), BLOCK)])
        self._axes = np.linalg.eigh(np.cov(some, rowvar=False))[1][:, -NUM_COMPONENTS:]
        parts = [standardise(part) @ self._axes for _, part in blocks_of(shrunk)]
        self._tree = KDTree(np.concatenate(parts))

    def has_near(self, small: NDArray[np.float32], min_distance: float) -> NDArray[np.bool_]:
        """Which of these thumbnails [M, D] lie nearer than that to one of the block."""
        near = self._tree.query_ball_point(small @ self._axes, min_distance * ROUNDING)
        queries = np.repeat(np.arange(len(small)), list(map(len, near)))
        others = np.fromiter(chain.from_iterable(near), np.int64)
        found = np.zeros(len(small), bool)
        for own, shrunk in blocks_of(self.shrunk, others):
            apart = small[queries[own]] - standardise(shrunk)
            found[queries[own][np.linalg.norm(apart, axis=1) < min_distance]] = True
        return found
