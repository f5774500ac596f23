"""What all classifiers of a comparison have in common, whatever their network and recipe."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ganaug.config import ClassicalParams
from ganaug.downstream.classical import ClassicalAugmentation


@dataclass(frozen=True)
class Setting:
    """Length of training, classes, classical augmentation and soft labels of all of them."""

    num_steps: int
    batch_size: int
    lr: float
    class_names: tuple[str, ...]
    symmetries: tuple[str, ...]  # flips that keep every label
    classical: ClassicalParams
    seed: int
    spectrogram_side: int | None = None  # pixels per side of spectrograms; None: other images
    # What teachers say of "train" and "synthetic", [N, K]; only recipes with soft labels need it.
    soft: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)

    def augmentation(self, seed: int) -> ClassicalAugmentation:
        """The classical augmentation of these images."""
        return ClassicalAugmentation(
            self.symmetries, self.classical, seed=seed, spectrogram_side=self.spectrogram_side
        )
