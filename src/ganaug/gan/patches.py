"""Images as whitened frequency coefficients of small patches, the input and output of "r3".

Fine structure has little energy, so a discriminator on raw pixels learns it last, and a pixel
shuffle at the end of a generator leaves a dot pattern that goes unpunished for long. Here each
patch of P x P pixels is written in the orthonormal cosine basis (as in JPEG), and every coefficient
is divided by its standard deviation over the training images: all frequencies count equally from
the first step. On solar cells at 64 px this reached in 12,000 images what the same networks on
pixels did not reach in 50,000 (docs/experiments.md).

An edge is many times as strong as grain, and grain differs as much between classes. So all
coefficients but a patch's mean are compressed by asinh, about logarithmic beyond `KNEE`: faint
detail then counts beside strong edges, as in the companding of audio codecs.
"""

import math

import numpy as np
import scipy.fft
import scipy.linalg
import torch
from torch import Tensor, nn
from torch.nn import functional as F

MIN_STD = 1 / 127.5  # one grey level; anything smaller is rounding
KNEE = 0.25  # standard deviations; compress coefficients beyond
LINEAR = 1e3  # the same for patch means: beyond any value
MIN_SPREAD = 0.05  # after compression; floor for coefficients that hardly vary
BOUND = 4.5  # standard deviations after compression; limit of the generator


class WhitenedPatches(nn.Module):
    """The change of coordinates between images and whitened patch coefficients.

    Args:
        channels: C of the images.
        patch: P, pixels per side.
    """

    def __init__(self, *, channels: int, patch: int) -> None:
        super().__init__()
        self.patch = patch
        self.num_coefficients = channels * patch * patch
        self.basis = nn.Buffer(_cosine_basis(channels, patch))
        self.mean = nn.Buffer(torch.zeros(self.num_coefficients))
        self.std = nn.Buffer(torch.ones(self.num_coefficients))
        knee = torch.full((channels, patch * patch), KNEE)
        knee[:, 0] = LINEAR
        self.knee = nn.Buffer(knee.flatten())
        self.spread = nn.Buffer(torch.ones(self.num_coefficients))

    @torch.no_grad()
    def fit(self, images: Tensor) -> None:
        """Measure each coefficient's mean and deviations over [N, C, H, W] in [-1, 1]."""
        coefficients = self._analyse(images)
        self.mean.copy_(coefficients.mean(dim=(0, 2, 3)))
        self.std.copy_(coefficients.std(dim=(0, 2, 3)).clamp_min(MIN_STD))
        self.spread.copy_(self._compress(coefficients).std(dim=(0, 2, 3)).clamp_min(MIN_SPREAD))

    def encode(self, images: Tensor) -> Tensor:
        """[N, C, H, W] -> [N, C * P * P, H / P, W / P], mean about 0 and deviation 1."""
        encoded = self._compress(self._analyse(images)) / _per_channel(self.spread)
        return encoded.contiguous(memory_format=torch.channels_last)

    def decode(self, encoded: Tensor) -> Tensor:
        """Invert `encode`, after bounding the coefficients smoothly.

        Without a bound the same networks collapsed. With tanh, a large step of G can land where
        the slope is 0, and G stayed there for thousands of images; the slope of the arc tangent
        fades slowly.
        """
        return self._synthesise(self._expand(encoded) + _per_channel(self.mean))

    def decode_change(self, encoded: Tensor) -> Tensor:
        """As `decode`, of a change of an image: coefficients at 0 change nothing."""
        return self._synthesise(self._expand(encoded))

    def _expand(self, encoded: Tensor) -> Tensor:
        """Bounded coefficients less their mean."""
        steepness = math.pi / 2 / BOUND  # slope 1 at 0
        bounded = torch.atan(encoded.float() * steepness) / steepness
        knee = _per_channel(self.knee)
        scaled = knee * torch.sinh(bounded * _per_channel(self.spread) / knee)
        return scaled * _per_channel(self.std)

    def _synthesise(self, coefficients: Tensor) -> Tensor:
        with torch.autocast(coefficients.device.type, enabled=False):
            return F.conv_transpose2d(coefficients, self.basis, stride=self.patch)

    def _compress(self, coefficients: Tensor) -> Tensor:
        scaled = (coefficients - _per_channel(self.mean)) / _per_channel(self.std)
        knee = _per_channel(self.knee)
        return knee * torch.asinh(scaled / knee)

    def _analyse(self, images: Tensor) -> Tensor:
        with torch.autocast(images.device.type, enabled=False):
            return F.conv2d(images.float(), self.basis, stride=self.patch)


def _per_channel(values: Tensor) -> Tensor:
    return values[None, :, None, None]


def _cosine_basis(channels: int, patch: int) -> Tensor:
    """[C * P * P, C, P, P]: orthonormal DCT-II filters, each of one channel."""
    one = scipy.fft.dct(np.eye(patch), axis=0, norm="ortho")  # [frequency, pixel]
    blocks = [np.kron(one, one)] * channels  # one a channel: [frequencies, pixels]
    basis = torch.from_numpy(scipy.linalg.block_diag(*blocks))
    return basis.float().view(-1, channels, patch, patch)
