"""Fragments: pieces of a training image in a synthetic image of which the rest is new.

Windows of an eighth of the side are compared with the same place of every training image, in all
four flips, once the mean training image is subtracted and contrast is made equal. How near is near
differs from window to window: a bare background resembles hundreds of others, a crack none. So the
yardstick is the distance to the nearest training image over that to the nearest one of another
group, after the ratio test of Lowe 2004 (doi:10.1023/B:VISI.0000029664.99615.94): about 1 for what
many images show, about 0 for a piece of one of them.

A square of a quarter of the side holds a whole window wherever it lies. Pieces that were moved,
turned or scaled are not found, and noise hides some. On elpv the least ratio of an image's windows
is below 0.07 for every image with 16 x 16 pixels pasted of a training image, above 0.4 for 99 % of
those of the default GAN, and below 0.19 for 1 % of the real training cells. With noise of 1 grey
level a quarter of the pasted pieces are found, of 2 levels one in fifteen.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ganaug.images import Groups, Indices, Pixels
from ganaug.quality.memorisation import FEWEST_JUDGED, allowed_high, share_beside_real
from ganaug.quality.neighbours import leave_out
from ganaug.rng import numpy_rng
from ganaug.thumbnails import standardise

LARGEST_SIDE = 64  # px; larger images are measured at this size, smaller ones at their own
SMALLEST_WINDOW = 8  # px a side; fewer don't tell one image from another
PLACES = 8  # windows along a side, next to each other at 64 px, overlapping below
MOST_IMAGES = 2000  # of a set; of larger ones as many are drawn
ERROR = 0.01  # of a deviation, added to distances: equal windows of all images are no fragments
USUAL = 0.01  # share of real images that hold a window as near to another group's by chance
FEWEST_GROUPS = 3  # an image's own, and two to compare it with
LARGEST_LIMIT = 0.25  # of the ratio; among few images that share is no copy, but the best of a few
# Of the share of images with a fragment, over that of the real training images. Fresh digits of 8
# pixels a side, which often agree in a few strokes, exceed it by 0.01, or 0.03 at the upper bound.
MAX_WITH_FRAGMENT = 0.05

Float32 = NDArray[np.float32]


def measure_fragments(
    synthetic: Pixels, train: Pixels, groups: Groups, *, seed: int, origins: Indices | None = None
) -> dict[str, Any]:
    """The share of synthetic images that hold a fragment of a training image, and if it passes.

    Args:
        synthetic: [M, H, W, C] uint8, M >= 1.
        train: [N, H, W, C] uint8, N >= 3.
        groups: [N] of the training images; each its own if there are fewer than three, since an
            image is compared with the nearest two of the other groups.
        seed: of the images that are drawn from large sets.
        origins: [M] the training image that a synthetic one is declared to start from, -1 none: its
            pieces are no fragments.
    Returns:
        limit: the ratio below which a window is a fragment, which `USUAL` of the real training
        images fall below against other groups, or `LARGEST_LIMIT`; with_fragment: share of
        synthetic images with such a window, with _low, _high, _real and _allowed as in
        `measure_memorisation`; fragment_ratio and fragment_ratio_real: median over images of their
        least ratio; num_synthetic, num_train: images that were looked at; too_few; passed.
    """
    rng = numpy_rng(seed, "fragments")
    chosen, train_rows = _draw(len(synthetic), rng), _draw(len(train), rng)
    if len(np.unique(groups[train_rows])) < FEWEST_GROUPS:
        groups = np.arange(len(train))
    train_rows = train_rows[np.argsort(groups[train_rows], kind="stable")]
    groups = groups[train_rows]
    pool = _grey(train[train_rows])
    mean = (pool + pool[:, ::-1] + pool[:, :, ::-1] + pool[:, ::-1, ::-1]).mean(axis=0) / 4
    pool -= mean
    place = np.full(len(train) + 1, -1)  # the last for images that start from none
    place[train_rows] = np.arange(len(train_rows))
    but = None if origins is None else place[origins[chosen]]
    ratios = _least_ratios(_grey(synthetic[chosen]) - mean, pool, groups, but=but)
    real = _least_ratios(pool, pool, groups, own=groups)
    limit = min(float(np.quantile(real, USUAL)), LARGEST_LIMIT)
    found, n = share_beside_real("with_fragment", ratios < limit, real < limit), len(ratios)
    allowed = allowed_high(found["with_fragment_real"], n, margin=MAX_WITH_FRAGMENT)
    return {
        **found,
        "with_fragment_allowed": allowed,
        "limit": limit,
        "fragment_ratio": float(np.median(ratios)),
        "fragment_ratio_real": float(np.median(real)),
        "num_synthetic": n,
        "num_train": len(train_rows),
        "too_few": n < FEWEST_JUDGED,
        "passed": n >= FEWEST_JUDGED and found["with_fragment_high"] <= allowed,
    }


def _draw(number: int, rng: np.random.Generator) -> Indices:
    if number <= MOST_IMAGES:
        return np.arange(number)
    return np.sort(rng.permutation(number)[:MOST_IMAGES])


def _grey(images: Pixels) -> Float32:
    """[N, H, W, C] uint8 -> [N, S, S], means of channels and blocks, S at most `LARGEST_SIDE`."""
    n, side, _, channels = images.shape
    small = min(side, LARGEST_SIDE)
    blocks = images.reshape(n, small, side // small, small, side // small, channels)
    grey: Float32 = blocks.mean(axis=(2, 4, 5), dtype=np.float32)
    return grey


def _least_ratios(
    queries: Float32,
    pool: Float32,
    groups: Groups,
    *,
    own: Groups | None = None,
    but: Indices | None = None,
) -> NDArray[np.float32]:
    """[M] the least ratio of any window.

    `own` [M] are groups that don't count for a query, `but` [M] an image that does not, or -1.
    """
    starts = np.flatnonzero(np.diff(groups, prepend=groups[0] - 1))
    least = np.full(len(queries), np.inf, np.float32)
    for place in _places(pool.shape[1]):
        windows = _windows(queries, place)
        reference = np.stack([_windows(flipped, place) for flipped in _flips(pool)])  # [4, N, D]
        nearest = _nearest_of_groups(windows, reference, starts, but)
        if own is not None:
            nearest[own[:, None] == groups[starts]] = np.inf
        two = np.partition(nearest, 1, axis=1)[:, :2]
        one, other = np.sqrt(np.maximum(two, 0) / windows.shape[1]).T
        least = np.minimum(least, (one + ERROR) / (other + ERROR))
    return least


def _places(side: int) -> Iterator[tuple[slice, slice]]:
    """Rows and columns of each window."""
    size = max(SMALLEST_WINDOW, side // PLACES)
    step = max(1, (side - size) // (PLACES - 1))
    spans = [slice(start, start + size) for start in range(0, side - size + 1, step)]
    return ((rows, columns) for rows in spans for columns in spans)


def _flips(images: Float32) -> tuple[Float32, ...]:
    return images, images[:, ::-1], images[:, :, ::-1], images[:, ::-1, ::-1]


def _windows(images: Float32, place: tuple[slice, slice]) -> Float32:
    """[N, D], each with mean 0 and, unless nearly flat, deviation 1."""
    return standardise(images[:, place[0], place[1]].reshape(len(images), -1))


def _nearest_of_groups(
    windows: Float32, reference: Float32, starts: Indices, but: Indices | None
) -> Float32:
    """[M, G] squared distances to the nearest window of each group, in any flip."""
    least = np.full((len(windows), reference.shape[1]), np.inf, np.float32)
    for flipped in reference:
        # |y|^2 - 2 x.y by one product, a quarter of the time being spent on memory otherwise.
        norms = (flipped * flipped).sum(axis=1, keepdims=True)
        right = np.concatenate([-2 * flipped, norms], axis=1).T
        left = np.concatenate([windows, np.ones((len(windows), 1), np.float32)], axis=1)
        np.minimum(least, left @ right, out=least)
    if but is not None:
        leave_out(least, but)
    nearest: Float32 = np.minimum.reduceat(least, starts, axis=1)
    nearest += (windows * windows).sum(axis=1)[:, None]
    return nearest
