"""Marks: rare, strong details of real images, such as cracks, that G builds new images on.

A class of two hundred cells may show a crack in forty of them, each in another place: too rare for
G to learn to draw one within minutes. But such a detail is small. Subtract from an image what the
class mean and the leading principal components explain, and keep the strongest few per cent of the
rest: this is the image's mark, mostly empty for a sound cell. One number of the latent chooses a
mark of the wanted class. G adds it to the image and sees it at every stage, so that it can blend
both; D judges the result. The marks are part of G's weights, each with the row of its training
image.

After the background and the defect of Zhang et al. 2021, arXiv:2103.15158 (Defect-GAN), whose
defect layer is generated; and the retrieved patches of Tseng et al. 2020, arXiv:2007.11206.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ganaug.gan.batches import FLIPPED_AXIS
from ganaug.gan.networks import Architecture

MARKED_IMAGES = 512  # at most, of all classes together, and
MARKED_NUMBERS = 2**25  # at most in all marks
EXPLAINED = 24  # principal components to subtract
KEPT = 0.04  # share of a class's pixels kept in marks
SCALE = 127  # of the [-1, 1] scale, as int8
FINENESS = 2**16  # of the number that chooses a mark, per unit
NO_ROW = -1  # source of an empty mark


def marks_per_class(architecture: Architecture) -> int:
    """How many marks each class has."""
    num_pixels = architecture.channels * architecture.resolution**2
    images = min(MARKED_IMAGES, MARKED_NUMBERS // num_pixels)
    return max(1, images // architecture.num_classes)


class Marks(nn.Module):
    """Marks of training images of each class, and the draw of one by a number.

    `marks` is [K, M, C * H * W] int8, `rows` [K, M] int64: the training image of each.
    """

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        side, num_classes = architecture.resolution, architecture.num_classes
        self._shape = (architecture.channels, side, side)
        # Each mark is one row: tensors of five axes can't be laid out channels last.
        num_marks = marks_per_class(architecture)
        table = (num_classes, num_marks, math.prod(self._shape))
        self.marks = nn.Buffer(torch.zeros(table, dtype=torch.int8))
        self.rows = nn.Buffer(torch.full((num_classes, num_marks), NO_ROW))

    @torch.no_grad()
    def fit(self, images: Tensor, label: Tensor, rows: Tensor, *, flips: Sequence[str]) -> None:
        """Take the marks of images [N, C, H, W] in [-1, 1] of the classes `label`, [N] int64.

        `rows`, [N] int64, are their row numbers. Each mark gets one of the allowed `flips`, in
        turn: G blends few marks that it sees often better than many that it rarely sees.
        """
        self.marks.zero_()
        self.rows.fill_(NO_ROW)
        present = sorted(set(label.tolist()))
        centred = images.clone()
        for c in present:
            centred[label == c] -= images[label == c].mean(dim=0)
        flat = centred.flatten(1)
        _, vectors = torch.linalg.eigh((flat @ flat.T).double())
        leading = vectors[:, -EXPLAINED:].to(flat)  # eigenvalues ascend
        rest = flat - leading @ (leading.T @ flat)
        for c in present:
            own = rest[label == c]
            rank = max(1, round((1 - KEPT) * own.numel()))
            threshold = own.abs().flatten().kthvalue(rank).values
            # The non-negative garrote: 0 below the threshold, nearly unchanged far above it.
            own = torch.where(own.abs() > threshold, own - threshold.square() / own, 0)
            chosen = torch.arange(self.marks.shape[1], device=own.device)
            sources = chosen * len(own) // len(chosen)  # a small class repeats its own
            own = own[sources].view(-1, *self._shape)
            for power, name in enumerate(flips):
                flipped = (chosen >> power) % 2 == 1
                own[flipped] = own[flipped].flip(FLIPPED_AXIS[name])
            own = (own.flatten(1) * SCALE).round().clamp(-SCALE, SCALE)
            self.marks[c] = own.to(torch.int8)
            is_empty = ~self.marks[c].any(dim=1)
            self.rows[c] = rows[label == c][sources].masked_fill(is_empty, NO_ROW)

    def draw(self, z: Tensor, label: Tensor) -> Tensor:
        """[N] numbers, [N] int64 -> [N, C, H, W], to be added to images in [-1, 1].

        Every mark is equally likely, whatever the spread of the numbers.
        """
        marks = self.marks[label, self._choose(z)]
        return marks.view(-1, *self._shape).float() / SCALE

    def parents(self, z: Tensor, label: Tensor) -> Tensor:
        """[N] numbers, [N] int64 -> [N] rows of what `draw` draws; -1 where the mark is empty."""
        return self.rows[label, self._choose(z)]

    def _choose(self, z: Tensor) -> Tensor:
        return (z.float() * FINENESS).floor().long() % self.marks.shape[1]
