"""Backgrounds: real training images of other classes, from which images of a class are made.

A rare class lacks what a frequent one has: pose, light, grain. So an image of it may start from a
real image of another class: the 256 that look most like it, or all of fewer. As many are kept of
each class. One number of the latent chooses which, each as often. The backgrounds are part of G's
weights, each with the row of its training image.

After DAGAN (Antoniou et al. 2017, arXiv:1711.04340) and M2m (Kim et al. 2020, arXiv:2004.00431),
where images of frequent classes become such of rare ones.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ganaug.gan.batches import FLIPPED_AXIS, LOOKED_AT_ONCE, RealBatches
from ganaug.gan.marks import FINENESS, NO_ROW
from ganaug.gan.networks import COARSE, Architecture
from ganaug.gan.patches import WhitenedPatches

PER_CLASS = 256  # images of a class that are kept, and that a class starts from, at most
KEPT_NUMBERS = 2**25  # in all images, at most


class Backgrounds(nn.Module):
    """Training images, and for each class those of other classes that it starts from.

    `images` is [S, C * H * W] uint8, `labels` and `rows` [S] int64: class and number of each
    training image. `chosen` [K, M] int64 indexes them, the nearest first.
    """

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        side, num_classes = architecture.resolution, architecture.num_classes
        self._shape = (architecture.channels, side, side)
        numbers = math.prod(self._shape)
        self._num_images = max(num_classes, min(PER_CLASS * num_classes, KEPT_NUMBERS // numbers))
        self.images = nn.Buffer(torch.zeros((self._num_images, numbers), dtype=torch.uint8))
        self.labels = nn.Buffer(torch.zeros(self._num_images, dtype=torch.int64))
        self.rows = nn.Buffer(torch.full((self._num_images,), NO_ROW))
        self.chosen = nn.Buffer(torch.zeros((num_classes, PER_CLASS), dtype=torch.int64))
        self.num_chosen = nn.Buffer(torch.ones(num_classes, dtype=torch.int64))
        self.flips = nn.Buffer(torch.zeros(len(FLIPPED_AXIS), dtype=torch.bool))  # that are allowed

    @torch.no_grad()
    def fit(self, reals: RealBatches, patches: WhitenedPatches) -> None:
        """Keep training images, and choose for each class the nearest ones of other classes."""
        for buffer in (self.images, self.labels, self.chosen):
            buffer.zero_()  # an earlier training may have left others
        self.rows.fill_(NO_ROW)
        self.num_chosen.fill_(1)
        images, label, rows = reals.examples(self._num_images // len(self.chosen))
        self.flips.copy_(torch.tensor([name in reals.flips for name in FLIPPED_AXIS]))
        count = len(label)
        self.images[:count] = images.flatten(1).add(1).mul(127.5).round().byte()
        self.labels[:count] = label
        self.rows[:count] = rows
        described = _describe(images, patches)
        for c in sorted(set(label.tolist())):
            others = torch.nonzero(label != c)[:, 0]
            distances = torch.cdist(described[others], described[label == c])
            own = others[distances.min(dim=1).values.argsort()][:PER_CLASS]
            self.chosen[c, : len(own)] = own
            self.num_chosen[c] = len(own)

    def draw(self, z: Tensor, label: Tensor) -> tuple[Tensor, Tensor]:
        """[N] numbers, [N] int64 -> images [N, C, H, W] in [-1, 1], and their own classes [N].

        Each is flipped in one of the ways that keep the label.
        """
        index, flip = self._choose(z, label)
        images = self.images[index].view(-1, *self._shape).float().div(127.5).sub(1)
        for power, axis in enumerate(FLIPPED_AXIS.values()):
            flipped = ((flip >> power) % 2 == 1) & self.flips[power]
            images = torch.where(flipped[:, None, None, None], images.flip(axis), images)
        return images, self.labels[index]

    def possible_parents(self) -> Tensor:
        """[K, M] int64: rows of the training images of each class's backgrounds; -1: no more."""
        places = torch.arange(self.chosen.shape[1], device=self.chosen.device)
        return self.rows[self.chosen].masked_fill(places >= self.num_chosen[:, None], NO_ROW)

    def parents(self, z: Tensor, label: Tensor) -> Tensor:
        """[N] numbers, [N] int64 -> [N] rows of what `draw` draws."""
        return self.rows[self._choose(z, label)[0]]

    def _choose(self, z: Tensor, label: Tensor) -> tuple[Tensor, Tensor]:
        number = (z.float() * FINENESS).floor().long()
        num_flips = 2 ** len(self.flips)
        place = (number // num_flips) % self.num_chosen[label]
        return self.chosen[label, place], number % num_flips


def _describe(images: Tensor, patches: WhitenedPatches) -> Tensor:
    """[N, C, H, W] -> [N, D]: the coarse image, and the energy of each frequency."""
    coarse = F.adaptive_avg_pool2d(images, min(COARSE, images.shape[2] // 2)).flatten(1)
    batches = torch.split(images, LOOKED_AT_ONCE)
    energy = torch.cat([patches.encode(own).square().mean(dim=(2, 3)) for own in batches])
    return torch.cat([_standardise(coarse), _standardise(energy.log1p())], dim=1)


def _standardise(features: Tensor) -> Tensor:
    """[N, D], centred, with mean squared length 1: sets of features then count alike."""
    centred = features - features.mean(dim=0)
    return centred / centred.square().sum(dim=1).mean().sqrt().clamp_min(1e-6)
