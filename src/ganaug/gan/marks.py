"""Marks: the rare strong detail of real images, such as cracks, on which new images are built.

A class of two hundred cells shows a crack in forty of them, each time elsewhere: too rare for G to
invent lines that D would believe within minutes. What sets such an image apart is small, though.
Subtract what the class and its leading principal components explain, keep the strongest few per
cent of the rest: that is the image's mark, and most of a sound image's is empty. G draws a mark of
the wanted class by one number of its latent, adds it to the image, and sees it at every stage, so
that it can blend both; D judges the result. The marks travel in G's weights, and with each the row
of the training image that it was taken from.

After the background and the defect of Zhang et al. 2021, arXiv:2103.15158 (Defect-GAN), whose
defect layer is generated; and the retrieved patches of Tseng et al. 2020, arXiv:2007.11206.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ganaug.gan.batches import FLIPPED_AXIS
from ganaug.gan.networks import Architecture

MARKED_IMAGES = 512  # of all classes together that marks are taken from, but
MARKED_NUMBERS = 2**25  # in all of them at most
EXPLAINED = 24  # principal components that a mark is free of
KEPT = 0.04  # share of a class's pixels that marks consist of
SCALE = 127  # of the [-1, 1] scale, as int8
FINENESS = 2**16  # of the number that chooses a mark, per unit
NO_ROW = -1  # in place of the source of an empty mark


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
        # Each mark in a row: networks are laid out channels last, which tensors of five axes can't.
        num_marks = marks_per_class(architecture)
        table = (num_classes, num_marks, math.prod(self._shape))
        self.marks = nn.Buffer(torch.zeros(table, dtype=torch.int8))
        self.rows = nn.Buffer(torch.full((num_classes, num_marks), NO_ROW))

    @torch.no_grad()
    def fit(self, images: Tensor, label: Tensor, rows: Tensor, *, flips: Sequence[str]) -> None:
        """Take the marks of images [N, C, H, W] in [-1, 1] of the classes `label`, [N] int64.

        `rows`, [N] int64, says which training images they are. Marks are flipped by turns as
        `flips` allows, each in one way: seeing few marks often, G blends them better than many
        that it hardly meets again.
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
            # The non-negative garrote: nothing below the threshold, and what is strong stays so.
            own = torch.where(own.abs() > threshold, own - threshold.square() / own, 0)
            chosen = torch.arange(self.marks.shape[1], device=own.device)
            sources = chosen * len(own) // len(chosen)  # a class of few has each several times
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

        Every mark is as likely as any other, however widely the numbers are spread.
        """
        marks = self.marks[label, self._choose(z)]
        return marks.view(-1, *self._shape).float() / SCALE

    def parents(self, z: Tensor, label: Tensor) -> Tensor:
        """[N] numbers, [N] int64 -> [N] rows of what `draw` draws; -1 where the mark is empty."""
        return self.rows[label, self._choose(z)]

    def _choose(self, z: Tensor) -> Tensor:
        return (z.float() * FINENESS).floor().long() % self.marks.shape[1]
