"""The interface of a family of networks."""

from abc import ABC, abstractmethod
from dataclasses import dataclass

from torch import Tensor, nn

from ganaug.gan.batches import RealBatches

COARSE = 16  # pixels per side of the images that a code describes, at most half the resolution


@dataclass(frozen=True)
class Architecture:
    """Everything needed to build a generator or discriminator again."""

    family: str  # key of `architecture.FAMILIES`
    resolution: int  # pixels per side
    channels: int  # 1 grey, 3 RGB
    num_classes: int  # >= 2
    z_dim: int  # numbers of the latent that say what an image shows; a family may add others
    widths: tuple[int, ...]  # channels per stage from 4x4 pixels up, or units per hidden layer
    patch: int  # side of the patches at the image end; 1 in families that end in pixels

    @property
    def code_dim(self) -> int:
        """Length of a real image's code, which replaces as many numbers of the latent."""
        return min(self.z_dim // 2, self.channels * min(COARSE, self.resolution // 2) ** 2)


class Generator(nn.Module, ABC):
    """Latent and class to image.

    Args:
        latent_dim: Z, numbers of standard normal noise per image.
    """

    def __init__(self, *, latent_dim: int) -> None:
        super().__init__()
        self.latent_dim = latent_dim

    def prepare_from(self, reals: RealBatches, *, is_trained: bool) -> None:
        """Measure the training images; by default nothing.

        Called once before training. `is_trained`: the weights come from an earlier training,
        perhaps on other images.
        """

    def possible_parents(self) -> Tensor | None:
        """[K, M] int64: rows of the training images that a class may be built on; -1: none.

        Rows are counted as in `RealBatches`, over all shards of train in order.

        None if the family builds images on no training image.
        """
        return None

    def parents(self, z: Tensor, label: Tensor) -> Tensor:
        """[N, P] int64: rows of the training images that each image is built on; -1: none."""
        return label.new_empty((len(z), 0))

    @abstractmethod
    def forward(self, z: Tensor, label: Tensor) -> Tensor:
        """[N, Z] standard normal, [N] int64 -> [N, C, H, W], real images being in [-1, 1]."""


class Companion(nn.Module):
    """The network that G learns with: a discriminator, or an encoder."""

    def prepare_from(self, reals: RealBatches) -> None:
        """Measure the training images; by default nothing."""


class Discriminator(Companion, ABC):
    """Image, class and code to a realness logit; D's probability is its sigmoid.

    The code is that of `anchors`: measured for a real image, requested for a synthetic one. A
    family may ignore it.
    """

    # Whether batch normalisation makes a logit depend on the batch: real and synthetic images then
    # pass separately, and no gradient penalty per image is defined.
    normalises_batch = False

    def encode(self, images: Tensor) -> Tensor:
        """[N, C, H, W] -> the coordinates in which D looks and gradient penalties are taken."""
        return images

    @abstractmethod
    def forward(self, encoded: Tensor, label: Tensor, code: Tensor, /) -> Tensor:
        """Encoded images, [N] int64, [N, M] -> [N] float32 logits."""
