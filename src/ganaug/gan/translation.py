"""An update of family "translator": images are made from real ones of other classes.

With such an image D is shown the code of the real image it is made from: how that one's coarse
layout differs from the mean of its class. So D minds that this difference stays.
"""

from torch import Tensor

from ganaug.gan.step import Made, Step
from ganaug.gan.translator import Translator

MASK_WEIGHT = 0.1  # in G's loss, of the share of the image that is changed


class TranslationStep(Step):
    """An update of D, then of G, which starts from real images."""

    def make(self, real: Tensor, real_code: Tensor, label: Tensor, z: Tensor) -> Made:
        """Translate the backgrounds that the latents choose; the batch's real images are D's."""
        G = self.networks.G
        assert isinstance(G, Translator)
        background, own = G.background(z, label)
        code = self.networks.anchors.code(background, own)
        with self.compute.autocast():
            synthetic, mask = G.translate(background, z, label)
        return Made(synthetic, code, {"loss/mask": (MASK_WEIGHT, mask.mean())})
