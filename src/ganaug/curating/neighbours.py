"""Compare a synthetic image with the real ones of its class and those accepted before."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ganaug.images import Labels, Pixels
from ganaug.quality.lineage import origin_rows
from ganaug.quality.neighbours import TINY, copy_ratios, distances_between, nearest_others
from ganaug.thumbnails import AXES, combine, flip, thumbnails

K = 3  # a real image's ball reaches to its K-th neighbour, as in the paper of the realism score
COPY_PERCENTILE = 1.0  # per cent of real images that would count as copies of each other


class RealNeighbours:
    """The real images of one class in a feature space.

    Args:
        features: [N, D], N > K.
    """

    def __init__(self, features: NDArray[np.floating]) -> None:
        self._features = features.astype(np.float64)
        # Of each real image to the other ones, nearest first.
        distances, _ = nearest_others(self._features, k=K)
        self._first = distances[:, 0]
        self._radius = distances[:, K - 1]
        self._unit = max(float(np.median(self._radius)), TINY)
        # Wide balls around outliers would make any image realistic.
        self._trusted = self._radius <= np.median(self._radius)
        _, ratios = copy_ratios(self._features)
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
        distances = distances_between(features, self._features)  # [M, N]
        nearest = distances.argmin(axis=1)
        closest = distances[np.arange(len(nearest)), nearest]
        balls = self._radius[self._trusted] / np.maximum(distances[:, self._trusted], TINY)
        ratio = closest / np.maximum(self._first[nearest], TINY)
        return pd.DataFrame(
            {
                "realism": balls.max(axis=1),
                "nearest": nearest,
                "nearest_distance": closest / self._unit,
                "is_copy": ratio < self._copy_below,
            }
        )


class RealImages:
    """What is known of the real training images, in their order.

    Args:
        ids: image_id of each.
        labels: [N].
        images: [N, H, W, C] uint8.
    """

    def __init__(self, ids: Sequence[str], labels: Labels, images: Pixels) -> None:
        self.ids, self._labels = list(ids), labels
        self._small = thumbnails(images)

    def are_unchanged(
        self,
        images: Pixels,
        labels: "pd.Series[int]",
        parents: "pd.Series[str]",
        *,
        least: float,
    ) -> NDArray[np.bool_]:
        """Whether each image is still, flipped or not, the one of another class it starts from.

        Args:
            images: [M, H, W, C].
            labels: [M], that were asked for.
            parents: [M] parent_id.
            least: distance of thumbnails below which two are the same picture.
        """
        rows = origin_rows(parents, labels.to_numpy().astype(np.int64), self.ids, self._labels)
        (made,) = np.nonzero(rows >= 0)
        if len(made) == 0:
            return np.zeros(len(images), bool)
        small, starts = thumbnails(images[made]), self._small[rows[made]]
        ways = [np.linalg.norm(flip(small, way) - starts, axis=1) for way in combine(AXES)]
        same = np.zeros(len(images), bool)
        same[made] = np.min(ways, axis=0) < least
        return same


class Apart:
    """Images of one class, without near-duplicates.

    Args:
        distance: least Euclidean distance between two thumbnails.
    """

    def __init__(self, distance: float) -> None:
        self._distance = distance
        self._admitted: list[NDArray[np.float32]] = []

    def admit(self, images: Pixels) -> NDArray[np.bool_]:
        """Which of [M, H, W, C] to admit, one after another; batching does not matter."""
        own = thumbnails(images)
        admitted = np.ones(len(own), bool)
        for earlier in self._admitted:
            admitted &= (distances_between(own, earlier) >= self._distance).all(axis=1)
        near = distances_between(own, own) < self._distance
        for i in np.flatnonzero(admitted):
            admitted[i] = not near[i, :i][admitted[:i]].any()
        self._admitted.append(own[admitted])
        return admitted
