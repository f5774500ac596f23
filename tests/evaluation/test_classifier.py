import numpy as np
import pytest
import torch

from ganaug.evaluation.batches import SyntheticPool
from ganaug.evaluation.classifier import (
    Classifier,
    TrainedFeatures,
    embed,
    predict,
    small_cnn,
    train_classifier,
)


def halves(n=48, *, side=16, channels=1, seed=0):
    """Images whose left (class 0) or right half (class 1) is brighter, under noise."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % 2
    images = rng.integers(0, 120, (n, side, side, channels))
    for image, label in zip(images, labels, strict=True):
        image[:, slice(0, side // 2) if label == 0 else slice(side // 2, None)] += 80
    return images.astype(np.uint8), labels


def train(images, labels, **options):
    settings = {"network": small_cnn, "num_classes": 2, "num_steps": 12, "batch_size": 16}
    settings |= {"lr": 0.01, "seed": 0}
    return train_classifier(images, labels, **(settings | options))


def accuracy(model, images, labels):
    return float((predict(model, images).argmax(axis=1) == labels).mean())


@pytest.fixture(scope="module")
def trained():
    return train(*halves())


def test_it_learns_and_generalises(trained):
    assert accuracy(trained, *halves(seed=1)) >= 0.95


def test_it_learns_from_synthetic_images_alone():
    real, labels = halves()
    weights = np.ones(len(real), np.float32)
    pool = SyntheticPool(real, labels, weights, batch_fraction=1)
    # The real labels are wrong on purpose: no real image may be used.
    assert accuracy(train(real, 1 - labels, synthetic=pool), *halves(seed=1)) >= 0.95


def test_weights_count_in_the_loss():
    real, labels = halves()
    wrong = SyntheticPool(real, 1 - labels, np.full(len(real), 0.01, np.float32), 0.5)
    assert accuracy(train(real, labels, synthetic=wrong), *halves(seed=1)) >= 0.95
    heavy = SyntheticPool(real, 1 - labels, np.full(len(real), 100, np.float32), 0.5)
    model = train(real, labels, synthetic=heavy, num_steps=30)
    assert accuracy(model, *halves(seed=1)) <= 0.05


def test_probabilities_and_features_have_their_shapes(trained):
    images, _ = halves(5)
    probabilities = predict(trained, images)
    assert probabilities.shape == (5, 2)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)
    assert (embed(trained, images).shape, embed(trained, images).dtype) == ((5, 96), np.float32)
    assert predict(trained, images[:0]).shape == (0, 2)
    assert embed(trained, images[:0]).shape == (0, 96)


def test_probabilities_come_from_the_features(trained):
    images, _ = halves(5)
    with torch.inference_mode():
        logits = trained.head(torch.from_numpy(embed(trained, images)))
    np.testing.assert_allclose(predict(trained, images), logits.softmax(dim=1), atol=1e-6)


def test_a_prediction_depends_on_its_image_alone(trained):
    images, _ = halves(6)
    together = predict(trained, images)
    alone = np.concatenate([predict(trained, images[i : i + 1]) for i in range(6)])
    np.testing.assert_allclose(together, alone, atol=1e-6)


def test_brightness_and_contrast_of_an_image_hardly_matter(trained):
    images, _ = halves(6)
    dim = (images * 0.5 + 60).astype(np.uint8)
    np.testing.assert_allclose(predict(trained, images), predict(trained, dim), atol=0.05)


def test_the_seed_alone_decides():
    images, labels = halves()
    torch.manual_seed(1)
    first = predict(train(images, labels, num_steps=3), images)
    state = torch.get_rng_state()
    np.testing.assert_array_equal(predict(train(images, labels, num_steps=3), images), first)
    assert torch.equal(torch.get_rng_state(), state)
    assert (predict(train(images, labels, num_steps=3, seed=1), images) != first).any()


def test_the_transform_is_applied_to_every_batch():
    seen = []

    def spy(images):
        seen.append(images.shape)
        return images

    images, labels = halves()
    pool = SyntheticPool(images, labels, np.ones(48, np.float32), 0.5)
    train(images, labels, num_steps=3, augment=spy, synthetic=pool)
    assert seen == [(16, 16, 16, 1)] * 3


@pytest.mark.parametrize(("side", "channels"), [(16, 3), (32, 1), (64, 1), (128, 1), (256, 3)])
def test_every_resolution_ends_on_the_same_grid(side, channels):
    model = Classifier(num_classes=3, channels=channels, resolution=side)
    x = torch.zeros(2, side, side, channels)
    assert model.stem(x.permute(0, 3, 1, 2)).shape[2:] == (16, 16)
    assert model(x).shape == (2, 3)


def untrained(seed):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Classifier(num_classes=2, channels=1, resolution=16).eval()


def test_features_are_the_classifiers_own_and_the_hash_names_its_weights():
    images = np.random.default_rng(0).integers(0, 256, (3, 16, 16, 1), dtype=np.uint8)
    extractor = TrainedFeatures(untrained(0))
    np.testing.assert_array_equal(extractor(images), embed(untrained(0), images))
    assert "train split" in extractor.name
    assert len(extractor.weights_sha256) == 64
    assert TrainedFeatures(untrained(0)).weights_sha256 == extractor.weights_sha256
    assert TrainedFeatures(untrained(1)).weights_sha256 != extractor.weights_sha256
