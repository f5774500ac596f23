"""Features of the classifier that has learned the real training images: the second space.

An ImageNet net knows textures of everyday things; this one knows what tells the dataset's own
classes apart. Where the two disagree about the synthetic images, neither is to be trusted alone.
"""

import hashlib

from ganaug.evaluation.classifier import Classifier, embed
from ganaug.evaluation.features import Features
from ganaug.images import Pixels


class TrainedFeatures:
    """Penultimate layer of a classifier.

    Args:
        classifier: trained on real images of the train split, and on nothing else.
    """

    name = "classifier trained on the real train split, penultimate layer"

    def __init__(self, classifier: Classifier) -> None:
        self._classifier = classifier
        digest = hashlib.sha256()
        for name, weights in sorted(classifier.state_dict().items()):
            digest.update(name.encode())
            digest.update(weights.contiguous().numpy().tobytes())
        self.weights_sha256 = digest.hexdigest()

    def __call__(self, images: Pixels) -> Features:
        """[N, H, W, C] uint8 -> [N, 96] float32."""
        return embed(self._classifier, images)
