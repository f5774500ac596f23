"""An update of family "translator": images are made from real ones of other classes.

D is told a code with each image: how the coarse layout of a real image differs from the mean of its
class. With a real image it is the image's own code, with a synthetic one the code of the real image
that it is made from. So D learns to refuse a synthetic image that has lost this layout.
"""

from torch import Tensor

from ganaug.gan.step import Step, SyntheticBatch
from ganaug.gan.translator import Translator

MASK_WEIGHT = 0.1  # in G's loss, of the share of the image that is changed


class TranslationStep(Step):
    """An update of D, then of G, which starts from real images."""

    def make(self, real: Tensor, real_code: Tensor, label: Tensor, z: Tensor) -> SyntheticBatch:
        """Translate the backgrounds that the latents choose; the batch's real images are D's."""
        G = self.networks.G
        assert isinstance(G, Translator)
        background, own = G.background(z, label)
        code = self.networks.anchors.code(background, own)
        with self.compute.autocast():
            images, mask = G.translate(background, z, label)
        return SyntheticBatch(images, code, {"loss/mask": (MASK_WEIGHT, mask.mean())})
