"""The third kind of classifier: EfficientNet-Lite0, fine-tuned from its ImageNet weights.

What teams really start from. All layers are trained; the statistics of batch normalisation stay
those of ImageNet, so that synthetic images in a batch can't shift how real ones are normalised.
"""

from torch import Tensor, nn
from torch.nn import functional as F

from ganaug.quality.features import imagenet_network, pooled_features

NUM_STEPS = 150
LR = 1e-3
SMALLEST = 64  # px: smaller images are enlarged to this side


class FineTuned(nn.Module):
    """Images [N, H, W, C] in 0..255 to logits [N, K].

    Args:
        shape: of an image [H, W, C].
        num_classes: K.
    """

    def __init__(self, shape: tuple[int, ...], num_classes: int) -> None:
        super().__init__()
        self._side = max(SMALLEST, shape[0])
        self.network, _ = imagenet_network(self._side)
        self.head = nn.Linear(self.network._fc.in_features, num_classes)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def train(self, mode: bool = True) -> "FineTuned":
        """As of any module, but batch normalisation keeps its statistics."""
        super().train(mode)
        for module in self.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eval()
        return self

    def forward(self, images: Tensor) -> Tensor:
        x = images.permute(0, 3, 1, 2) / 127.5 - 1  # [N, C, H, W]
        if x.shape[2] != self._side:
            x = F.interpolate(x, size=(self._side,) * 2, mode="bilinear", align_corners=False)
        logits: Tensor = self.head(pooled_features(self.network, x))
        return logits
