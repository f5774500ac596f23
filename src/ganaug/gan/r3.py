"""Family "r3": residual generator and discriminator without normalisation layers.

After R3GAN (Huang et al. 2024, arXiv:2501.05441), cut down to what two CPU cores can train:
fix-up initialisation in place of normalisation and few wide stages at low resolution. Both networks
see images as whitened patch coefficients, so that no convolution ever runs at full resolution.

Axes: N batch, C channels, H height, W width, Z latent, K classes.
"""

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ganaug.gan.batches import STATISTICS_GROUP, RealBatches
from ganaug.gan.marks import Marks, marks_per_class
from ganaug.gan.networks import Architecture, Discriminator, Generator
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
MARK = 0  # place among a latent's choices of the one that draws the mark


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
        initialise(gain, self.conv_in, self.conv_mid)
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


class MarkedGenerator(Generator):
    """What G of "r3" and of "translator" share: stages that see a mark, and the latent's parts.

    The latent's first numbers say what the image is. Then come noise maps added at each stage, from
    which grain and other texture come without being spelled out (after Karras et al. 2019,
    arXiv:1812.04948, section 3.2); without them all cells of a class share one grain. The last
    numbers, the choices, each draw something of the training images, the first the mark that the
    image is built on. Each stage after the first doubles the side:
    resolution = 4 * 2**(stages-1) * patch.

    A family adds its layers and initialises all of them.
    """

    def __init__(self, architecture: Architecture, *, num_choices: int) -> None:
        z_dim, widths = architecture.z_dim, architecture.widths
        sides = [BASE * 2**stage for stage in range(len(widths))]
        parts = [z_dim, *(NOISE_CHANNELS * side**2 for side in sides[1:]), num_choices]
        super().__init__(latent_dim=sum(parts))
        self._sides, self._latent_parts = sides, parts
        self._num_examples = marks_per_class(architecture)  # of a class
        self.patches = WhitenedPatches(channels=architecture.channels, patch=architecture.patch)
        self.marks = Marks(architecture)
        self.embedding = nn.Embedding(architecture.num_classes, EMBEDDING_DIM)
        self.project = nn.Linear(z_dim + EMBEDDING_DIM, widths[0] * BASE * BASE)
        num_blocks = len(widths)
        self.blocks = nn.ModuleList(ResidualBlock(w, num_blocks=num_blocks) for w in widths)
        self.transitions = nn.ModuleList(transition(a, b) for a, b in pairwise(widths))
        self.from_noise = nn.ModuleList(
            nn.Conv2d(NOISE_CHANNELS, width, 1, bias=False) for width in widths[1:]
        )

    def prepare_from(self, reals: RealBatches, *, is_trained: bool) -> None:
        """Take marks, and the patch coordinates unless the weights have learned others."""
        images, label, rows = reals.examples(self._num_examples)
        if not is_trained:
            self.patches.fit(images)
        self.marks.fit(images, label, rows, flips=reals.flips)

    def possible_parents(self) -> Tensor:
        """[K, M] int64: rows of the training images that the marks were taken from; -1: none."""
        return self.marks.rows

    def parents(self, z: Tensor, label: Tensor) -> Tensor:
        """[N, 1] int64: the row of the training image whose mark each image is built on, or -1."""
        _, _, choices = self._split(z)
        return self.marks.parents(choices[:, MARK], label)[:, None]

    def _split(self, z: Tensor) -> tuple[Tensor, Sequence[Tensor], Tensor]:
        """[N, Z] latents -> what images show [N, z_dim], each stage's noise maps, the choices."""
        content, *noise, choices = torch.split(z, self._latent_parts, dim=1)
        return content, noise, choices

    def _start(self, content: Tensor, label: Tensor) -> Tensor:
        """[N, z_dim], [N] int64 -> [N, C, 4, 4], what the first block takes."""
        h = self.project(torch.cat([content, self.embedding(label)], dim=1))
        return h.view(len(h), -1, BASE, BASE)  # type: ignore[no-any-return]

    def _grow(self, h: Tensor, noise: Sequence[Tensor], seen: Sequence[Tensor]) -> Tensor:
        """Run all stages.

        Args:
            h: [N, C, 4, 4], what the first stage's block takes.
            noise: of each later stage, the numbers of its noise maps.
            seen: of each later stage, the features of what it sees.
        Returns:
            [N, C, H, W] features of the last stage.
        """
        h = self.blocks[0](h)
        for widen, from_noise, maps, features, block in zip(
            self.transitions, self.from_noise, noise, seen, self.blocks[1:], strict=True
        ):
            h = F.interpolate(widen(h), scale_factor=2, mode="bilinear", align_corners=False)
            h = h + from_noise(maps.view(-1, NOISE_CHANNELS, *h.shape[2:]))
            h = block(h + features)
        return F.leaky_relu(h, LEAK)

    def _shrink(self, mark: Tensor, side: int) -> Tensor:
        """[N, C, H, W] -> [N, C * P * P, side, side]: the mark as a stage sees it."""
        patch = self.patches.patch
        return F.pixel_unshuffle(F.adaptive_avg_pool2d(mark, side * patch), patch)


class R3Generator(MarkedGenerator):
    """Latent and class to image."""

    def __init__(self, architecture: Architecture) -> None:
        super().__init__(architecture, num_choices=1)
        num_inputs, widths = self.patches.num_coefficients, architecture.widths
        self.from_mark = nn.ModuleList(
            nn.Conv2d(num_inputs, width, 3, padding=1, bias=False) for width in widths[1:]
        )
        self.to_coefficients = nn.Conv2d(widths[-1], num_inputs, 3, padding=1)
        initialise(NOISE_GAIN, *self.from_noise)
        initialise(MARK_GAIN, *self.from_mark)
        initialise(1.0, self.project, self.to_coefficients)

    def forward(self, z: Tensor, label: Tensor) -> Tensor:
        """[N, Z] standard normal, [N] int64 -> [N, C, H, W], real images being in [-1, 1]."""
        content, noise, choices = self._split(z)
        mark = self.marks.draw(choices[:, MARK], label)
        layers = zip(self.from_mark, self._sides[1:], strict=True)
        seen = [layer(self._shrink(mark, side)) for layer, side in layers]
        h = self._grow(self._start(content, label), noise, seen)
        return self.patches.decode(self.to_coefficients(h)) + mark


class R3Discriminator(Discriminator):
    """Image, class and code to one realness logit: psi(h) + <e(class) + W code, h> / sqrt(dim).

    The class-free term psi keeps learning what any cell looks like when a class has few images
    (Miyato and Koyama 2018, arXiv:1802.05637, equation 4).
    """

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        self._num_examples = marks_per_class(architecture)  # of a class
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
        initialise(1.0, self.from_coefficients, self.from_code)
        initialise(math.sqrt(2 / (1 + LEAK**2)), self.head)
        initialise(1.0, self.psi)

    def prepare_from(self, reals: RealBatches) -> None:
        """Take the patch coordinates of training images, the same as G does."""
        images, _, _ = reals.examples(self._num_examples)
        self.patches.fit(images)

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
    initialise(1.0, conv)
    return conv


def initialise(gain: float, *layers: nn.Module) -> None:
    """Normal weights with standard deviation gain / sqrt(fan_in); zero bias."""
    for layer in layers:
        assert isinstance(layer, nn.Conv2d | nn.Linear)
        fan_in = layer.weight[0].numel()
        nn.init.normal_(layer.weight, std=gain / math.sqrt(fan_in))
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)
