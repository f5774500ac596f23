"""Anchors: latents that stand for known real images, so that no class can shrink to one picture.

A generator trained by D alone may ignore its latent: all images of a class then look alike, and D,
which sees one image at a time, can't notice. So half of each batch is generated from the code of a
real image of the batch, and G's loss includes the distance to that image, on coarse images only: D
alone judges detail. The code is linear and fixed: principal components of the differences from the
class means, the same for all classes, each scaled to unit variance within a class, and so
distributed like the standard normal latents of the other half and of all later samples. The weight
of this distance fades to 0 in the first half of training. Kept longer, it makes G a linear decoder,
and D can't correct its images.

D sees the code with the image throughout training: the real image's own code, or the part of the
latent in its place. So it can notice an image that does not match its latent.

Family "translator" uses the codes for D only (`translation.py`): its images start from real ones
anyway, so none of its latents is anchored. Family "vae" has no D and uses no anchors.

Sources: the mode regulariser of Che et al. 2017, arXiv:1612.02136, section 2.2; the joint game of
Donahue et al. 2017, arXiv:1605.09782; both with principal components in place of a trained encoder.
"""

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ganaug.gan.batches import FLIPPED_AXIS
from ganaug.gan.networks import COARSE, Architecture

CLAMP = 3.0  # standard deviations, of a real image's code; 0.3 % of normal numbers lie beyond


class Anchors(nn.Module):
    """The linear code of real images, and the distance of anchored images to them.

    `code_dim` is the number of principal components, the first numbers of an anchored latent.
    """

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        self._side = min(COARSE, architecture.resolution // 2)
        num_inputs = architecture.channels * self._side**2
        self.code_dim = architecture.code_dim
        self.means = nn.Buffer(torch.zeros(architecture.num_classes, num_inputs))
        self.stds = nn.Buffer(torch.ones(architecture.num_classes, self.code_dim))
        self.components = nn.Buffer(torch.zeros(num_inputs, self.code_dim))
        self.scale = nn.Buffer(torch.ones(()))

    @torch.no_grad()
    def fit(self, batches: Iterable[tuple[Tensor, Tensor]], *, flips: Sequence[str] = ()) -> None:
        """Measure class means, the components within classes, and their spread per class.

        Args:
            batches: images [N, C, H, W] in [-1, 1] and labels [N] int64, some of each class.
            flips: that training applies to real images; each image counts once per combination.
        """
        looked = [(self._coarse(images), label) for images, label in batches]
        coarse, label = (torch.cat(parts) for parts in zip(*looked, strict=True))
        for axis in (FLIPPED_AXIS[name] for name in flips):
            coarse, label = torch.cat([coarse, coarse.flip(axis)]), torch.cat([label, label])
        coarse = coarse.flatten(1)
        num_images = torch.bincount(label, minlength=len(self.means))
        sums = torch.zeros_like(self.means).index_add_(0, label, coarse)
        self.means.copy_(sums / num_images.clamp_min(1)[:, None])
        residual = coarse - self.means[label]
        _, vectors = torch.linalg.eigh((residual.T @ residual / len(residual)).double())
        self.components.copy_(vectors.flip(1)[:, : self.code_dim])  # eigenvalues ascend
        squares = (residual @ self.components).square()
        # The spread of a small class is uncertain. Mix it with that of all classes, as if the class
        # had `code_dim` more images of the common spread.
        own = torch.zeros_like(self.stds).index_add_(0, label, squares)
        shared = squares.mean(dim=0) * self.code_dim
        self.stds.copy_(((own + shared) / (num_images[:, None] + self.code_dim)).sqrt())
        self.stds.clamp_(min=1e-6)
        self.scale.copy_(residual.std().clamp_min(1e-6))

    def code(self, real: Tensor, label: Tensor) -> Tensor:
        """[B, C, H, W] in [-1, 1], [B] int64 -> [B, code_dim], about standard normal."""
        residual = self._coarse(real).flatten(1) - self.means[label]
        return (residual @ self.components / self.stds[label]).clamp(-CLAMP, CLAMP)

    def place(self, z: Tensor, code: Tensor) -> Tensor:
        """[B, Z] latents with every second row's leading numbers replaced by its image's code."""
        placed = z.clone()
        placed[::2, : self.code_dim] = code[::2]
        return placed

    def distance(self, synthetic: Tensor, real: Tensor) -> Tensor:
        """Mean squared difference of the anchored coarse images, within-class variance being 1."""
        difference = self._coarse(synthetic[::2].float()) - self._coarse(real[::2])
        return (difference / self.scale).square().mean()

    def _coarse(self, images: Tensor) -> Tensor:
        return F.adaptive_avg_pool2d(images, self._side)
