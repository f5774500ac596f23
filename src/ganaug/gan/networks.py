"""What every family of networks provides."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor, nn

STATISTICS_GROUP = 8  # images of one class in a row, whose spread one minibatch statistic describes
FITTED_IMAGES = 512  # of all classes together that networks look at before training, but
FITTED_NUMBERS = 2**25  # in all of them at most
COARSE = 16  # pixels per side of the images that a code describes, at most half the resolution


@dataclass(frozen=True)
class Architecture:
    """Everything needed to build a generator or discriminator again."""

    family: str  # key of `architecture.FAMILIES`
    resolution: int  # pixels per side
    channels: int  # 1 grey, 3 RGB
    num_classes: int  # >= 2
    z_dim: int  # length of the latent, what a family adds for texture not counted
    widths: tuple[int, ...]  # channels per stage from 4x4 pixels up, or units per hidden layer
    patch: int  # side of the patches at the image end; 1 in families that end in pixels

    @property
    def code_dim(self) -> int:
        """Length of a real image's code, which stands in for as many numbers of the latent."""
        return min(self.z_dim // 2, self.channels * min(COARSE, self.resolution // 2) ** 2)

    @property
    def num_fitted(self) -> int:
        """Images of each class that networks look at before training, at most."""
        images = min(FITTED_IMAGES, FITTED_NUMBERS // (self.channels * self.resolution**2))
        return max(1, images // self.num_classes)


class Generator(nn.Module, ABC):
    """Latent and class to image.

    Args:
        latent_dim: Z, numbers of standard normal noise that one image is made from.
    """

    def __init__(self, *, latent_dim: int) -> None:
        super().__init__()
        self.latent_dim = latent_dim

    def fit(self, images: Tensor) -> None:
        """Look once at training images, [N, C, H, W] in [-1, 1], before training."""

    def take_marks(self, images: Tensor, label: Tensor, *, flips: Sequence[str]) -> None:
        """Keep what new images are built on of images [N, C, H, W] in [-1, 1], labels [N] int64.

        Unlike what `fit` measures, it is taken anew when training goes on from other weights.
        `flips` names those that training applies to real images.
        """

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
        """Look once at training images, [N, C, H, W] in [-1, 1], before training."""

    def encode(self, images: Tensor) -> Tensor:
        """[N, C, H, W] -> the coordinates in which D looks and gradient penalties are taken."""
        return images

    @abstractmethod
    def forward(self, encoded: Tensor, label: Tensor, code: Tensor, /) -> Tensor:
        """Encoded images, [N] int64, [N, M] -> [N] float32 logits."""
