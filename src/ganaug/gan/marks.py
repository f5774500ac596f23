"""Marks: the rare strong detail of real images, such as cracks, on which new images are built.

A class of two hundred cells shows a crack in forty of them, each time elsewhere: too rare for G to
invent lines that D would believe within minutes. What sets such an image apart is small, though.
Subtract what the class and its leading principal components explain, keep the strongest few per
cent of the rest: that is the image's mark, and most of a sound image's is empty. G draws a mark of
the wanted class by one number of its latent, adds it to the image, and sees it at every stage, so
that it can blend both; D judges the result. The marks travel in G's weights.

After the background and the defect of Zhang et al. 2021, arXiv:2103.15158 (Defect-GAN), whose
defect layer is generated; and the retrieved patches of Tseng et al. 2020, arXiv:2007.11206.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ganaug.gan.batches import FLIPPED_AXIS
from ganaug.gan.networks import Architecture

EXPLAINED = 24  # principal components that a mark is free of
KEPT = 0.04  # share of a class's pixels that marks consist of
SCALE = 127  # of the [-1, 1] scale, as int8
FINENESS = 2**16  # of the number that chooses a mark, per unit


class Marks(nn.Module):
    """Marks of training images of each class, and the draw of one by a number."""

    marks: Tensor

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        side, num_classes = architecture.resolution, architecture.num_classes
        self._shape = (architecture.channels, side, side)
        # Each mark in a row: networks are laid out channels last, which tensors of five axes can't.
        rows = (num_classes, architecture.num_fitted, math.prod(self._shape))
        self.register_buffer("marks", torch.zeros(rows, dtype=torch.int8))

    @torch.no_grad()
    def fit(self, images: Tensor, label: Tensor, *, flips: Sequence[str]) -> None:
        """Take the marks of images [N, C, H, W] in [-1, 1] of the classes `label`, [N] int64.

        They are flipped by turns as `flips` allows, each in one way: seeing few marks often, G
        blends them better than many that it hardly meets again.
        """
        self.marks.zero_()
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
            own = own[chosen * len(own) // len(chosen)]  # a class of few has each several times
            own = own.view(-1, *self._shape)
            for power, name in enumerate(flips):
                flipped = (chosen >> power) % 2 == 1
                own[flipped] = own[flipped].flip(FLIPPED_AXIS[name])
            own = (own.flatten(1) * SCALE).round().clamp(-SCALE, SCALE)
            self.marks[c] = own.to(torch.int8)

    def draw(self, z: Tensor, label: Tensor) -> Tensor:
        """[N] numbers, [N] int64 -> [N, C, H, W], to be added to images in [-1, 1].

        Every mark is as likely as any other, however widely the numbers are spread.
        """
        choice = (z.float() * FINENESS).floor().long() % self.marks.shape[1]
        return self.marks[label, choice].view(-1, *self._shape).float() / SCALE
