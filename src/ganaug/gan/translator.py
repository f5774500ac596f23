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

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ganaug.gan.backgrounds import Backgrounds
from ganaug.gan.batches import RealBatches
from ganaug.gan.networks import Architecture
from ganaug.gan.r3 import MARK, NOISE_GAIN, MarkedGenerator, initialise
from ganaug.gan.sampling import BLOCK, latents, to_pixels
from ganaug.images import Pixels

CHANGE_GAIN = 0.3  # of the first weights of the change: G starts near the real image
REACH = 1.2  # of the mask before it is cut to 0..1: both ends are reached, not only approached
SEEN_GAIN = 1.0  # of the first weights that see the real image and the mark
BACKGROUND = 1  # place among a latent's choices of the one that draws the real image


class Translator(MarkedGenerator):
    """Latent and class, and the real image that the latent chooses, to an image of the class."""

    def __init__(self, architecture: Architecture) -> None:
        super().__init__(architecture, num_choices=2)
        self.backgrounds = Backgrounds(architecture)
        num_inputs, widths = self.patches.num_coefficients, architecture.widths
        self.from_seen = nn.ModuleList(
            nn.Conv2d(2 * num_inputs, width, 3, padding=1, bias=False) for width in widths
        )
        self.to_change = nn.Conv2d(widths[-1], num_inputs, 3, padding=1)
        self.to_mask = nn.Conv2d(widths[-1], 1, 3, padding=1)
        initialise(NOISE_GAIN, *self.from_noise)
        initialise(SEEN_GAIN, *self.from_seen)
        initialise(1.0, self.project)
        initialise(CHANGE_GAIN, self.to_change, self.to_mask)

    def prepare_from(self, reals: RealBatches, *, is_trained: bool) -> None:
        """Take real images and marks, and the patch coordinates unless others have been learned."""
        super().prepare_from(reals, is_trained=is_trained)
        self.backgrounds.fit(reals, self.patches)

    def possible_parents(self) -> Tensor:
        """[K, M] int64: rows of the training images that a class starts from or has marks of."""
        return torch.cat([self.backgrounds.possible_parents(), super().possible_parents()], dim=1)

    def parents(self, z: Tensor, label: Tensor) -> Tensor:
        """[N, 2] int64: rows of the training images of the background and of the mark."""
        _, _, choices = self._split(z)
        start = self.backgrounds.parents(choices[:, BACKGROUND], label)
        return torch.cat([start[:, None], super().parents(z, label)], dim=1)

    def forward(self, z: Tensor, label: Tensor) -> Tensor:
        """[N, Z] standard normal, [N] int64 -> [N, C, H, W], real images being in [-1, 1]."""
        return self.translate(self.background(z, label)[0], z, label)[0]

    def background(self, z: Tensor, label: Tensor) -> tuple[Tensor, Tensor]:
        """The real images [N, C, H, W] that latents start from, and their own classes [N]."""
        _, _, choices = self._split(z)
        return self.backgrounds.draw(choices[:, BACKGROUND], label)

    def translate(self, real: Tensor, z: Tensor, label: Tensor) -> tuple[Tensor, Tensor]:
        """Make images of the classes `label` [N] from real ones [N, C, H, W] in [-1, 1].

        Returns:
            The images, and the mask [N, 1, H, W] in 0..1: where they are no longer the real ones.
        """
        content, noise, choices = self._split(z)
        mark = self.marks.draw(choices[:, MARK], label)
        layers = zip(self.from_seen, self._sides, strict=True)
        first, *others = [layer(self._see(real, mark, side)) for layer, side in layers]
        h = self._grow(self._start(content, label) + first, noise, others)
        change = self.patches.decode_change(self.to_change(h)) + mark
        mask = self._mask(h)
        return real + mask * change, mask

    def _mask(self, h: Tensor) -> Tensor:
        """[N, 1, H, W] in 0..1, equal within a patch. Cut off, but its gradient goes on beyond."""
        soft = REACH * (self.to_mask(h).float().sigmoid() - 0.5) + 0.5
        hard = soft + (soft.clamp(0, 1) - soft).detach()
        return F.interpolate(hard, scale_factor=self.patches.patch, mode="nearest")

    def _see(self, real: Tensor, mark: Tensor, side: int) -> Tensor:
        """[N, 2 * C * P * P, side, side]: real image and mark as a stage sees them."""
        small = F.adaptive_avg_pool2d(real, side * self.patches.patch)
        return torch.cat([self.patches.encode(small), self._shrink(mark, side)], dim=1)


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
