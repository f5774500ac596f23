"""Anchors: latents that stand for known real images, so that no class can shrink to one picture.

A generator that only has to please D may forget its latent: every cell of a class then looks
alike, and D, which sees one image at a time, does not mind. Here half of each batch is generated
from the code of the real image beside it, and G's loss includes the distance between the two, on
coarse images, so that D alone decides about detail. The code is linear and fixed: the principal
components of the class, scaled to unit variance, hence as good as the standard normal latents that
the other half and all later samples are made from. The pull fades in the first half of training:
held longer, it makes G a linear decoder, whose varied images D can't correct.

Source: the mode regulariser of Che et al. 2017, arXiv:1612.02136, section 2.2, with principal
components in place of a trained encoder.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

COARSE = 16  # pixels per side of the images that are compared, at most half the resolution
CLAMP = 3.0  # standard deviations; a code beyond them would be a latent that is never drawn


class Anchors(nn.Module):
    """The linear code of real images and the distance that it promises to keep small.

    Args:
        num_classes: K.
        channels: C of the images.
        resolution: pixels per side.
        code_dim: principal components, the leading numbers of an anchored latent.
    """

    means: Tensor
    stds: Tensor
    components: Tensor
    scale: Tensor

    def __init__(self, *, num_classes: int, channels: int, resolution: int, code_dim: int) -> None:
        super().__init__()
        self._side = min(COARSE, resolution // 2)
        num_inputs = channels * self._side**2
        self.code_dim = min(code_dim, num_inputs)
        self.register_buffer("means", torch.zeros(num_classes, num_inputs))
        self.register_buffer("stds", torch.ones(num_classes, self.code_dim))
        self.register_buffer("components", torch.zeros(num_inputs, self.code_dim))
        self.register_buffer("scale", torch.ones(()))

    @torch.no_grad()
    def fit(self, images: Tensor, label: Tensor) -> None:
        """Measure class means, the components within classes, and their spread per class.

        Args:
            images: [N, C, H, W] in [-1, 1].
            label: [N] int64.
        """
        coarse = self._coarse(images).flatten(1)
        present = sorted(set(label.tolist()))
        for k in present:
            self.means[k] = coarse[label == k].mean(dim=0)
        residual = coarse - self.means[label]
        covariance = (residual.T @ residual / len(residual)).double()
        _, vectors = torch.linalg.eigh(covariance)  # eigenvalues ascend
        self.components.copy_(vectors.flip(1)[:, : self.code_dim])
        codes = residual @ self.components
        for k in present:
            self.stds[k] = codes[label == k].std(dim=0, correction=0).clamp_min(1e-6)
        self.scale.copy_(residual.std())

    def place(self, z: Tensor, real: Tensor, label: Tensor) -> Tensor:
        """[B, Z] latents with every second row's leading numbers replaced by its image's code."""
        residual = self._coarse(real).flatten(1) - self.means[label]
        codes = (residual @ self.components / self.stds[label]).clamp(-CLAMP, CLAMP)
        placed = z.clone()
        placed[::2, : self.code_dim] = codes[::2]
        return placed

    def distance(self, synthetic: Tensor, real: Tensor) -> Tensor:
        """Mean squared difference of the anchored coarse images, within-class variance being 1."""
        difference = self._coarse(synthetic[::2].float()) - self._coarse(real[::2])
        return (difference / self.scale).square().mean()

    def _coarse(self, images: Tensor) -> Tensor:
        return F.adaptive_avg_pool2d(images, self._side)
