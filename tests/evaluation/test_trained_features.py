import numpy as np
import torch

from ganaug.evaluation.classifier import Classifier, embed
from ganaug.evaluation.trained_features import TrainedFeatures


def classifier(seed):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Classifier(num_classes=2, channels=1, resolution=16).eval()


def test_features_are_the_classifiers_own_and_the_hash_names_its_weights():
    images = np.random.default_rng(0).integers(0, 256, (3, 16, 16, 1), dtype=np.uint8)
    extractor = TrainedFeatures(classifier(0))
    np.testing.assert_array_equal(extractor(images), embed(classifier(0), images))
    assert "train split" in extractor.name
    assert len(extractor.weights_sha256) == 64
    assert TrainedFeatures(classifier(0)).weights_sha256 == extractor.weights_sha256
    assert TrainedFeatures(classifier(1)).weights_sha256 != extractor.weights_sha256
