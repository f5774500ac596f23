"""What every family of networks provides."""

from abc import ABC, abstractmethod

from torch import Tensor, nn

COARSE = 16  # pixels per side of the images that a code describes, at most half the resolution


class Generator(nn.Module, ABC):
    """Latent and class to image.

    Args:
        latent_dim: Z, numbers of standard normal noise that one image is made from.
    """

    def __init__(self, *, latent_dim: int) -> None:
        super().__init__()
        self.latent_dim = latent_dim

    def fit(self, images: Tensor) -> None:
        """Look once at the training images, [N, C, H, W] in [-1, 1], before training."""

    @abstractmethod
    def forward(self, z: Tensor, label: Tensor) -> Tensor:
        """[N, Z] standard normal, [N] int64 -> [N, C, H, W], real images being in [-1, 1]."""


class Discriminator(nn.Module, ABC):
    """Image, class and the image's code to a realness logit; D's probability is its sigmoid.

    The code is that of `anchors`: of a real image, what it is seen to show; of a synthetic one,
    what it was asked to show. A family may leave it aside, as the textbook does.
    """

    # Whether an image's logit depends on the batch by batch normalisation: real and synthetic
    # images then pass one after the other, and no gradient penalty per image is defined.
    normalises_batch = False

    def fit(self, images: Tensor) -> None:
        """Look once at the training images, [N, C, H, W] in [-1, 1], before training."""

    def encode(self, images: Tensor) -> Tensor:
        """[N, C, H, W] -> the coordinates in which D looks and gradient penalties are taken."""
        return images

    @abstractmethod
    def forward(self, encoded: Tensor, label: Tensor, code: Tensor, /) -> Tensor:
        """Encoded images, [N] int64, [N, M] -> [N] float32 logits."""
