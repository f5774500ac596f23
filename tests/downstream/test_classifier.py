from dataclasses import replace

import numpy as np
import pytest
import torch

from ganaug.downstream.batches import Pool, draw_batches, one_hot
from ganaug.downstream.classifier import (
    Classifier,
    TrainedFeatures,
    embed,
    predict,
    small_cnn,
    train_classifier,
)
from ganaug.downstream.recipes import Recipe

LR = 0.01


def halves(n=48, *, side=16, channels=1, seed=0):
    """Images whose left (class 0) or right half (class 1) is brighter, under noise."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % 2
    images = rng.integers(0, 120, (n, side, side, channels))
    for image, label in zip(images, labels, strict=True):
        image[:, slice(0, side // 2) if label == 0 else slice(side // 2, None)] += 80
    return images.astype(np.uint8), labels


def pool_of(images, labels):
    return Pool(images, labels, one_hot(labels, 2), np.arange(len(labels)))


def batches(images, labels, *, num_steps=12):
    options = {"recipe": Recipe(), "batch_size": 16, "num_steps": num_steps, "seed": 0}
    return list(draw_batches(pool_of(images, labels), None, **options))


def train(batches, **options):
    settings = {"network": small_cnn, "num_steps": len(batches), "lr": LR, "seed": 0}
    return train_classifier(batches, **(settings | options))


def accuracy(model, images, labels):
    return float((predict(model, images).argmax(axis=1) == labels).mean())


@pytest.fixture(scope="module")
def trained():
    return train(batches(*halves()))


def test_it_learns_and_generalises_with_and_without_mixup(trained):
    assert accuracy(trained, *halves(seed=1)) >= 0.95
    mixed = train(batches(*halves(), num_steps=20), mixup=True)
    assert accuracy(mixed, *halves(seed=1)) >= 0.95


def test_weights_count_in_the_loss():
    images, labels = halves()
    right, wrong = (batches(images, own, num_steps=24) for own in (labels, 1 - labels))
    for weight, expected in ((0.01, 1), (100, 0)):
        both = [
            replace(
                one,
                images=np.concatenate([one.images, other.images]),
                targets=np.concatenate([one.targets, other.targets]),
                weights=np.concatenate([one.weights, other.weights * np.float32(weight)]),
            )
            for one, other in zip(right, wrong, strict=True)
        ]
        assert accuracy(train(both), *halves(seed=1)) == pytest.approx(expected, abs=0.1)


def test_the_loss_does_not_depend_on_the_scale_of_the_weights(trained):
    scaled = [replace(b, weights=b.weights * 2) for b in batches(*halves())]  # exact in binary
    np.testing.assert_allclose(
        predict(train(scaled), halves(6)[0]), predict(trained, halves(6)[0]), atol=1e-5
    )


def test_soft_targets_soften_what_is_said(trained):
    soft = [replace(b, targets=b.targets * 0.5 + 0.25) for b in batches(*halves())]
    images, _ = halves(seed=1)
    assert predict(train(soft), images).max() < 0.9 < predict(trained, images).max()


def test_equal_arguments_give_equal_bytes_and_leave_torchs_stream_alone():
    few, (images, _) = batches(*halves(), num_steps=3), halves()
    for options in ({}, {"mixup": True}, {"cutmix": True}):
        torch.manual_seed(1)
        first = predict(train(few, **options), images)
        state = torch.get_rng_state()
        assert predict(train(few, **options), images).tobytes() == first.tobytes()
        assert torch.equal(torch.get_rng_state(), state)
        assert (predict(train(few, seed=1, **options), images) != first).any()


def test_mixup_changes_the_result_and_keeps_probabilities_valid(trained):
    images, _ = halves()
    mixed = predict(train(batches(*halves()), mixup=True), images)
    assert (mixed != predict(trained, images)).any()
    assert ((mixed >= 0) & (mixed <= 1)).all()
    np.testing.assert_allclose(mixed.sum(axis=1), 1)


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
    images, _ = halves(140)  # more than predict takes at once
    together = predict(trained, images)
    alone = np.concatenate([predict(trained, images[i : i + 1]) for i in range(0, 140, 20)])
    np.testing.assert_allclose(together[::20], alone, atol=1e-6)


def test_brightness_and_contrast_of_an_image_hardly_matter(trained):
    images, _ = halves(6)
    dim = (images * 0.5 + 60).astype(np.uint8)
    np.testing.assert_allclose(predict(trained, images), predict(trained, dim), atol=0.05)


def test_the_transform_is_applied_to_every_batch():
    seen = []

    def spy(images):
        seen.append(images.shape)
        return images

    train(batches(*halves(), num_steps=3), augment=spy)
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


def test_cutmix_pastes_one_place_of_each_image_and_weighs_targets_by_its_area():
    from ganaug.downstream.classifier import _paste

    images, others = torch.zeros(3, 16, 8, 1), torch.arange(1.0, 4)[:, None, None, None]
    rng = np.random.default_rng(0)
    for kept in (0.0, 0.3, 0.99):
        pasted, left = _paste(images, others.expand_as(images), kept, rng)
        changed = pasted != 0
        assert (changed == changed[:1]).all()
        assert changed[0].float().mean() == pytest.approx(1 - left)
        assert left == pytest.approx(kept, abs=0.1)
        assert all(set(own.unique().tolist()) <= {0.0, i + 1.0} for i, own in enumerate(pasted))
    assert not images.any()


def test_cutmix_changes_the_result_and_keeps_probabilities_valid(trained):
    images = halves()[0]
    mixed = predict(train(batches(*halves()), cutmix=True), images)
    np.testing.assert_allclose(mixed.sum(axis=1), 1)
    assert np.abs(mixed - predict(trained, images)).max() > 1e-3
