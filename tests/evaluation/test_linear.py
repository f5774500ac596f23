import numpy as np

from ganaug.evaluation.classifier import predict, train_classifier
from ganaug.evaluation.linear import RandomView, as_they_are, linear, standardised_views


def features(n, *, seed=0):
    """[n, 8] float32 in which feature 0 tells the classes apart, and the classes."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % 2
    x = rng.normal(3, 2, (n, 8))
    x[:, 0] += 6 * labels
    return x.astype(np.float32), labels


def test_it_learns_and_generalises():
    (train, labels), (test, truth) = features(64), features(64, seed=1)
    views = standardised_views({"train": [train, train], "test": [test]})
    model = train_classifier(
        views["train"], labels, network=linear, num_classes=2, num_steps=60, batch_size=16,
        lr=0.05, seed=0, augment=RandomView(seed=0),
    )  # fmt: skip
    assert (predict(model, views["test"]).argmax(axis=1) == truth).mean() > 0.75


def test_views_are_scaled_by_the_training_images_alone():
    train, _ = features(200)
    views = standardised_views({"train": [train, train + 1], "val": [train * 5]})
    assert views["train"].shape == (200, 2, 8)
    assert views["val"].shape == (200, 1, 8)
    assert views["train"].dtype == np.float32
    plain = views["train"][:, 0]
    np.testing.assert_allclose(plain.mean(axis=0), 0, atol=1e-5)
    np.testing.assert_allclose((plain**2).sum(axis=1).mean(), 1, rtol=1e-3)
    assert np.isfinite(standardised_views({"train": [np.ones((3, 2), np.float32)]})["train"]).all()


def test_a_batch_takes_one_view_of_each_image():
    views = np.stack([np.zeros((100, 3)), np.ones((100, 3))], axis=1)
    assert as_they_are(views).shape == (100, 1, 3)
    assert as_they_are(views).max() == 0
    random = RandomView(seed=0)
    first, second = random(views), random(views)
    assert first.shape == (100, 1, 3)
    assert 0.3 < first.mean() < 0.7
    assert (first != second).any()
    np.testing.assert_array_equal(RandomView(seed=0)(views), first)
