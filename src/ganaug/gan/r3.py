"""Family "r3": residual generator and discriminator without normalisation layers.

After R3GAN (Huang et al. 2024, arXiv:2501.05441), cut down to what two CPU cores can train:
fix-up initialisation in place of normalisation and few wide stages at low resolution. Both networks
see images as whitened patch coefficients, so that no convolution ever runs at full resolution.

Axes: N batch, C channels, H height, W width, Z latent, K classes.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ganaug.gan.marks import Marks, marks_per_class
from ganaug.gan.networks import STATISTICS_GROUP, Architecture, Discriminator, Generator, Reals
from ganaug.gan.patches import WhitenedPatches

LEAK = 0.2
BETAS = (0.0, 0.99)  # Adam's; no momentum against a moving opponent, as in StyleGAN2 and R3GAN
GROUP_WIDTH = 16  # channels per group of the middle convolution
EMBEDDING_DIM = 64
HEAD_DIM = 128
BASE = 4  # pixels per side where both networks meet the latent and the logit
NOISE_CHANNELS = 4  # of the latent's noise maps, one set at each stage above 4x4
NOISE_GAIN = 0.3  # of their first weights, the features' being about 1
MARK_GAIN = 1.0  # of the first weights that see marks


def layout(size: str, resolution: int) -> tuple[tuple[int, ...], int]:
    """Channels of each stage, or units of each layer, and the side of the patches."""
    # Channels at 4x4, 8x8, ... inside the networks. Patches of 2 pixels cost twice the time of
    # patches of 4 and are worth it; higher resolutions can't afford them.
    widths = {
        "tiny": (32, 32, 32, 32, 32),
        "small": (96, 96, 64, 32, 32),
        "medium": (256, 256, 192, 128, 64),
        "large": (512, 512, 384, 256, 128),
    }
    num_stages, patch = {16: (2, 2), 32: (3, 2), 64: (4, 2), 128: (4, 4), 256: (5, 4)}[resolution]
    return widths[size][:num_stages], patch


class ResidualBlock(nn.Module):
    """x + conv1x1(act(grouped conv3x3(act(conv3x3(x))))); the last convolution starts at zero."""

    def __init__(self, width: int, *, num_blocks: int) -> None:
        super().__init__()
        self.conv_in = nn.Conv2d(width, width, 3, padding=1)
        self.conv_mid = nn.Conv2d(width, width, 3, padding=1, groups=width // GROUP_WIDTH)
        self.conv_out = nn.Conv2d(width, width, 1, bias=False)
        gain = math.sqrt(2 / (1 + LEAK**2)) * num_blocks**-0.25
        for conv in (self.conv_in, self.conv_mid):
            initialise(conv, gain)
        nn.init.zeros_(self.conv_out.weight)

    def forward(self, x: Tensor) -> Tensor:  # [N, C, H, W] -> [N, C, H, W]
        h = F.leaky_relu(self.conv_in(x), LEAK)
        h = F.leaky_relu(self.conv_mid(h), LEAK)
        residual: Tensor = self.conv_out(h)
        return x + residual


def group_spread(x: Tensor) -> Tensor:
    """Spread of each channel within groups of consecutive images: [N, C, H, W] -> [N, C].

    The batch sampler fills each group with one class, so the discriminator sees directly whether a
    class has collapsed. Source: Karras et al. 2018, arXiv:1710.10196, section 3; there one number
    of deep features, here one for each channel.
    """
    n = len(x)
    size = STATISTICS_GROUP if n % STATISTICS_GROUP == 0 else n
    grouped = x.float().reshape(n // size, size, *x.shape[1:])
    spread = (grouped.var(dim=1, unbiased=False) + 1e-8).sqrt().mean(dim=(2, 3))
    return spread.repeat_interleave(size, dim=0)


class R3Generator(Generator):
    """Latent and class to image.

    The latent's first numbers say what the image is. Then come noise maps added at each stage, from
    which grain and other texture come without being spelled out (after Karras et al. 2019,
    arXiv:1812.04948, section 3.2); without them all cells of a class share one grain. The last
    number draws the mark that the image is built on. Each stage after the first doubles the side:
    resolution = 4 * 2**(stages-1) * patch.
    """

    def __init__(self, architecture: Architecture) -> None:
        z_dim, widths = architecture.z_dim, architecture.widths
        self.split = (z_dim, *noise_sizes(widths), 1)
        super().__init__(latent_dim=sum(self.split))
        self._looks_at = marks_per_class(architecture)
        self.patches = WhitenedPatches(channels=architecture.channels, patch=architecture.patch)
        self.embedding = nn.Embedding(architecture.num_classes, EMBEDDING_DIM)
        self.project = nn.Linear(z_dim + EMBEDDING_DIM, widths[0] * BASE * BASE)
        num_blocks = len(widths)
        self.blocks = nn.ModuleList(ResidualBlock(w, num_blocks=num_blocks) for w in widths)
        self.transitions = nn.ModuleList(transition(a, b) for a, b in pairwise(widths))
        self.from_noise = nn.ModuleList(
            nn.Conv2d(NOISE_CHANNELS, width, 1, bias=False) for width in widths[1:]
        )
        self.marks = Marks(architecture)
        num_inputs = self.patches.num_coefficients
        self.from_mark = nn.ModuleList(
            nn.Conv2d(num_inputs, width, 3, padding=1, bias=False) for width in widths[1:]
        )
        self.to_coefficients = nn.Conv2d(widths[-1], num_inputs, 3, padding=1)
        for conv in self.from_noise:
            initialise(conv, NOISE_GAIN)
        for conv in self.from_mark:
            initialise(conv, MARK_GAIN)
        initialise(self.project, 1.0)
        initialise(self.to_coefficients, 1.0)

    def prepare_from(self, reals: Reals, *, is_trained: bool) -> None:
        """Take marks, and the patch coordinates unless the weights have learned others."""
        images, label = map(torch.cat, zip(*reals.look(self._looks_at), strict=True))
        if not is_trained:
            self.patches.fit(images)
        rows = torch.from_numpy(reals.looked_at(self._looks_at)).to(label.device)
        self.marks.fit(images, label, rows, flips=reals.flips)

    def possible_parents(self) -> Tensor:
        """[K, M] int64: rows of the training images that the marks were taken from."""
        return self.marks.rows

    def parents(self, z: Tensor, label: Tensor) -> Tensor:
        """[N, 1] int64: the row of the training image whose mark each image is built on, or -1."""
        return self.marks.parents(z[:, -1], label)[:, None]

    def forward(self, z: Tensor, label: Tensor) -> Tensor:
        """[N, Z] standard normal, [N] int64 -> [N, C, H, W], real images being in [-1, 1]."""
        z, *maps, choice = torch.split(z, list(self.split), dim=1)
        mark = self.marks.draw(choice[:, 0], label)
        h = self.project(torch.cat([z, self.embedding(label)], dim=1))
        h = self.blocks[0](h.view(len(z), -1, BASE, BASE))
        h = grow(
            h,
            zip(
                self.transitions,
                self.from_noise,
                maps,
                self.from_mark,
                self.blocks[1:],
                strict=True,
            ),
            see=lambda side: self._at(mark, side),
        )
        return self.patches.decode(self.to_coefficients(F.leaky_relu(h, LEAK))) + mark

    def _at(self, mark: Tensor, side: int) -> Tensor:
        """[N, C, H, W] -> [N, C * P * P, side, side]: the mark as a stage sees it."""
        patch = self.patches.patch
        return F.pixel_unshuffle(F.adaptive_avg_pool2d(mark, side * patch), patch)


def noise_sizes(widths: Sequence[int]) -> list[int]:
    """Numbers in the noise maps of each stage above the first."""
    return [NOISE_CHANNELS * (BASE * 2**stage) ** 2 for stage in range(1, len(widths))]


def grow(h: Tensor, stages: Iterable[tuple[Any, ...]], *, see: Callable[[int], Tensor]) -> Tensor:
    """Run the stages of a generator that double the side.

    Args:
        h: [N, C, 4, 4] features of the first stage.
        stages: of each, the change of width, the weights of its noise maps, these maps as numbers,
            the weights of what it sees, and its block.
        see: [N, M, side, side], what G sees at a stage of that side.
    Returns:
        [N, C, H, W] features of the last stage.
    """
    for widen, from_noise, noise, from_seen, block in stages:
        h = F.interpolate(widen(h), scale_factor=2, mode="bilinear", align_corners=False)
        h = h + from_noise(noise.view(-1, NOISE_CHANNELS, *h.shape[2:]))
        h = block(h + from_seen(see(h.shape[2])))
    return h


class R3Discriminator(Discriminator):
    """Image, class and code to one realness logit: psi(h) + <e(class) + W code, h> / sqrt(dim).

    The class-free term psi keeps learning what any cell looks like when a class has few images
    (Miyato and Koyama 2018, arXiv:1802.05637, equation 4).
    """

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        self._looks_at = marks_per_class(architecture)
        self.patches = WhitenedPatches(channels=architecture.channels, patch=architecture.patch)
        down = architecture.widths[::-1]
        num_blocks = len(down)
        self.from_coefficients = nn.Conv2d(self.patches.num_coefficients, down[0], 3, padding=1)
        self.blocks = nn.ModuleList(ResidualBlock(w, num_blocks=num_blocks) for w in down)
        self.transitions = nn.ModuleList(transition(a, b) for a, b in pairwise(down))
        num_inputs = down[-1] * BASE * BASE + down[-1] + self.patches.num_coefficients
        self.head = nn.Linear(num_inputs, HEAD_DIM)
        self.psi = nn.Linear(HEAD_DIM, 1)
        self.embedding = nn.Embedding(architecture.num_classes, HEAD_DIM)
        self.from_code = nn.Linear(architecture.code_dim, HEAD_DIM, bias=False)
        initialise(self.from_coefficients, 1.0)
        initialise(self.from_code, 1.0)
        initialise(self.head, math.sqrt(2 / (1 + LEAK**2)))
        initialise(self.psi, 1.0)

    def prepare_from(self, reals: Reals) -> None:
        """Take the patch coordinates of training images, the same as G does."""
        self.patches.fit(torch.cat([images for images, _ in reals.look(self._looks_at)]))

    def encode(self, images: Tensor) -> Tensor:
        """[N, C, H, W] in [-1, 1] -> what `forward` takes and the penalties differentiate by."""
        return self.patches.encode(images)

    def forward(self, encoded: Tensor, label: Tensor, code: Tensor, /) -> Tensor:
        """Encoded images, [N] int64, [N, M] -> [N] float32 logits."""
        h = self.from_coefficients(encoded)
        h = self.blocks[0](h)
        for narrow, block in zip(self.transitions, self.blocks[1:], strict=True):
            h = block(narrow(F.avg_pool2d(h, 2)))
        h = F.leaky_relu(h, LEAK)
        # The spread of the input shows a collapse before any feature has learned to see it.
        h = torch.cat([h.flatten(1), group_spread(h), group_spread(encoded)], dim=1)
        h = F.leaky_relu(self.head(h), LEAK).float()
        wanted = self.embedding(label) + self.from_code(code).float()
        match = (h * wanted).sum(dim=1) / math.sqrt(HEAD_DIM)
        logits: Tensor = self.psi(h).squeeze(1).float() + match
        return logits


def transition(width_in: int, width_out: int) -> nn.Module:
    """A 1x1 convolution where the width changes, else nothing."""
    if width_in == width_out:
        return nn.Identity()
    conv = nn.Conv2d(width_in, width_out, 1, bias=False)
    initialise(conv, 1.0)
    return conv


def initialise(layer: nn.Module, gain: float) -> None:
    """Normal weights with standard deviation gain / sqrt(fan_in); zero bias."""
    assert isinstance(layer, nn.Conv2d | nn.Linear)
    fan_in = layer.weight[0].numel()
    nn.init.normal_(layer.weight, std=gain / math.sqrt(fan_in))
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
