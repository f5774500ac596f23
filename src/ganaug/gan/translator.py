"""Family "translator": an image of a class is made from a real image of another class.

G sees a real image x and a mark of the wanted class (`marks.py`) at each stage, and returns a
change and a mask: x + mask * (change + mark). Where the mask is 0 the image stays real, pixel by
pixel. D, that of "r3", judges the result like any other image of the class. Without the marks the
mask fell to 0 everywhere: 20 images of a class did not teach G what the class adds. KID on val,
which chooses the snapshot, does not mind images that are left as they are; the filter refuses them.

After the attention mask of GANimation (Pumarola et al. 2018, arXiv:1807.09251), and the defect
layer over a real background of Defect-GAN (Zhang et al. 2021, arXiv:2103.15158).

Axes: N batch, C channels, H height, W width, Z latent, K classes.
"""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ganaug.gan.backgrounds import Backgrounds
from ganaug.gan.marks import Marks, marks_per_class
from ganaug.gan.networks import Architecture, Generator, Reals
from ganaug.gan.patches import WhitenedPatches
from ganaug.gan.r3 import (
    BASE,
    EMBEDDING_DIM,
    LEAK,
    NOISE_CHANNELS,
    NOISE_GAIN,
    ResidualBlock,
    grow,
    initialise,
    noise_sizes,
    transition,
)
from ganaug.gan.sampling import BLOCK, latents, to_pixels
from ganaug.images import Pixels

CHANGE_GAIN = 0.3  # of the first weights of the change: G starts near the real image
REACH = 1.2  # of the mask before it is cut to 0..1: both ends are reached, not only approached
SEEN_GAIN = 1.0  # of the first weights that see the real image and the mark


class Translator(Generator):
    """Latent and class, and the real image that the latent chooses, to an image of the class."""

    def __init__(self, architecture: Architecture) -> None:
        z_dim, widths = architecture.z_dim, architecture.widths
        self.split = (z_dim, *noise_sizes(widths), 1, 1)
        super().__init__(latent_dim=sum(self.split))
        self.patches = WhitenedPatches(channels=architecture.channels, patch=architecture.patch)
        self.backgrounds = Backgrounds(architecture)
        self._looks_at = marks_per_class(architecture)
        self.marks = Marks(architecture)
        self.embedding = nn.Embedding(architecture.num_classes, EMBEDDING_DIM)
        self.project = nn.Linear(z_dim + EMBEDDING_DIM, widths[0] * BASE * BASE)
        num_blocks = len(widths)
        self.blocks = nn.ModuleList(ResidualBlock(w, num_blocks=num_blocks) for w in widths)
        self.transitions = nn.ModuleList(transition(a, b) for a, b in pairwise(widths))
        self.from_noise = nn.ModuleList(
            nn.Conv2d(NOISE_CHANNELS, width, 1, bias=False) for width in widths[1:]
        )
        num_inputs = self.patches.num_coefficients
        self.from_seen = nn.ModuleList(
            nn.Conv2d(2 * num_inputs, width, 3, padding=1, bias=False) for width in widths
        )
        self.to_change = nn.Conv2d(widths[-1], num_inputs, 3, padding=1)
        self.to_mask = nn.Conv2d(widths[-1], 1, 3, padding=1)
        for conv in self.from_noise:
            initialise(conv, NOISE_GAIN)
        for conv in self.from_seen:
            initialise(conv, SEEN_GAIN)
        initialise(self.project, 1.0)
        initialise(self.to_change, CHANGE_GAIN)
        initialise(self.to_mask, CHANGE_GAIN)

    def prepare_from(self, reals: Reals, *, is_trained: bool) -> None:
        """Take real images and marks, and the patch coordinates unless others have been learned."""
        images, label = map(torch.cat, zip(*reals.look(self._looks_at), strict=True))
        if not is_trained:
            self.patches.fit(images)
        rows = torch.from_numpy(reals.looked_at(self._looks_at)).to(label.device)
        self.marks.fit(images, label, rows, flips=reals.flips)
        self.backgrounds.fit(reals, self.patches)

    def possible_parents(self) -> Tensor:
        """[K, M] int64: rows of the training images that a class starts from or has marks of."""
        return torch.cat([self.backgrounds.possible_parents(), self.marks.rows], dim=1)

    def parents(self, z: Tensor, label: Tensor) -> Tensor:
        """[N, 2] int64: rows of the training images of the background and of the mark."""
        marked = self.marks.parents(z[:, -2], label)
        return torch.stack([self.backgrounds.parents(z[:, -1], label), marked], dim=1)

    def forward(self, z: Tensor, label: Tensor) -> Tensor:
        """[N, Z] standard normal, [N] int64 -> [N, C, H, W], real images being in [-1, 1]."""
        return self.translate(self.background(z, label)[0], z, label)[0]

    def background(self, z: Tensor, label: Tensor) -> tuple[Tensor, Tensor]:
        """The real images [N, C, H, W] that latents start from, and their own classes [N]."""
        return self.backgrounds.draw(z[:, -1], label)

    def translate(self, real: Tensor, z: Tensor, label: Tensor) -> tuple[Tensor, Tensor]:
        """Make images of the classes `label` [N] from real ones [N, C, H, W] in [-1, 1].

        Returns:
            The images, and the mask [N, 1, H, W] in 0..1: where they are no longer the real ones.
        """
        z, *maps, choice, _ = torch.split(z, list(self.split), dim=1)
        mark = self.marks.draw(choice[:, 0], label)
        h = self.project(torch.cat([z, self.embedding(label)], dim=1)).view(len(z), -1, BASE, BASE)
        h = self.blocks[0](h + self.from_seen[0](self._seen(real, mark, BASE)))
        stages = zip(
            self.transitions,
            self.from_noise,
            maps,
            self.from_seen[1:],
            self.blocks[1:],
            strict=True,
        )
        h = grow(h, stages, see=lambda side: self._seen(real, mark, side))
        h = F.leaky_relu(h, LEAK)
        change = self.patches.decode_change(self.to_change(h)) + mark
        mask = self._mask(h)
        return real + mask * change, mask

    def _mask(self, h: Tensor) -> Tensor:
        """[N, 1, H, W] in 0..1, equal within a patch. Cut off, but its gradient goes on beyond."""
        soft = REACH * (self.to_mask(h).float().sigmoid() - 0.5) + 0.5
        hard = soft + (soft.clamp(0, 1) - soft).detach()
        return F.interpolate(hard, scale_factor=self.patches.patch, mode="nearest")

    def _seen(self, real: Tensor, mark: Tensor, side: int) -> Tensor:
        """[N, 2 * C * P * P, side, side]: real image and mark as a stage sees them."""
        size = side * self.patches.patch
        small = self.patches.encode(F.adaptive_avg_pool2d(real, size))
        detail = F.pixel_unshuffle(F.adaptive_avg_pool2d(mark, size), self.patches.patch)
        return torch.cat([small, detail], dim=1)


@torch.inference_mode()
def translate_image(
    generator: Translator, real: Pixels, label: int, seeds: Sequence[int]
) -> tuple[Pixels, Pixels]:
    """Make images of a class from one real image.

    Args:
        generator: in evaluation mode, on the CPU.
        real: [H, W, C] uint8, of the generator's resolution and channels.
        label: the class to make.
        seeds: of the images, 1 to `BLOCK`.
    Returns:
        Images [N, H, W, C], and masks of the same shape, white where the image is new.
    """
    num = len(seeds)
    padded = [*seeds, *[seeds[0]] * (BLOCK - num)]  # always one size, as in `sample`
    labels = [label] * BLOCK
    z = latents(labels, padded, latent_dim=generator.latent_dim)
    start = torch.from_numpy(real.copy()).permute(2, 0, 1).float().div(127.5).sub(1)
    starts = start.expand(BLOCK, -1, -1, -1).contiguous()
    images, mask = generator.translate(starts, z, torch.tensor(labels))
    return to_pixels(images[:num]), to_pixels(mask.expand_as(images)[:num] * 2 - 1)
