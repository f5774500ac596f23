import json

import numpy as np
import pytest

from ganaug.downstream import classical
from ganaug.downstream.classical import ClassicalAugmentation
from ganaug.errors import GanaugError
from tests.publishing.small_run import CLASSICAL

FLIPS = ("hflip", "vflip")


def images(n=8, side=16, channels=1):
    return np.random.default_rng(0).integers(0, 256, (n, side, side, channels), dtype=np.uint8)


@pytest.mark.parametrize("channels", [1, 3])
def test_shape_and_type_stay(channels):
    changed = ClassicalAugmentation(FLIPS, CLASSICAL, seed=0)(images(channels=channels))
    assert (changed.shape, changed.dtype) == ((8, 16, 16, channels), np.uint8)


def test_two_epochs_differ_so_the_baseline_is_not_frozen():
    augment, x = ClassicalAugmentation(FLIPS, CLASSICAL, seed=0), images()
    first, second = augment(x), augment(x)
    assert (first != second).any(axis=(1, 2, 3)).sum() >= 6


def test_images_of_a_batch_are_changed_each_on_its_own():
    same = np.repeat(images(1), 8, axis=0)
    assert len(np.unique(ClassicalAugmentation(FLIPS, CLASSICAL, seed=0)(same), axis=0)) >= 6


def test_the_seed_alone_decides(monkeypatch):
    x = images()
    first = ClassicalAugmentation(FLIPS, CLASSICAL, seed=3)(x)
    np.random.seed(1)  # noqa: NPY002
    np.testing.assert_array_equal(ClassicalAugmentation(FLIPS, CLASSICAL, seed=3)(x), first)
    assert (ClassicalAugmentation(FLIPS, CLASSICAL, seed=4)(x) != first).any()


def test_only_the_permitted_flips_are_used():
    left = np.zeros((64, 16, 16, 1), np.uint8)
    left[:, :, :8] = 200
    kept = ClassicalAugmentation(("vflip",), CLASSICAL, seed=0)(left)
    assert (kept[:, :, :4].mean(axis=(1, 2, 3)) > 100).all()
    flipped = ClassicalAugmentation(("hflip",), CLASSICAL, seed=0)(left)
    share = (flipped[:, :, :4].mean(axis=(1, 2, 3)) < 100).mean()
    assert 0.25 < share < 0.75


def test_changes_are_small():
    grey = np.full((50, 16, 16, 1), 120, np.uint8)
    changed = ClassicalAugmentation((), CLASSICAL, seed=0)(grey).mean(axis=(1, 2, 3))
    assert 95 < changed.min() < 118
    assert 122 < changed.max() < 145


def test_magnitudes_of_zero_leave_images_alone():
    none = CLASSICAL.model_copy(update=dict.fromkeys(CLASSICAL.model_dump(), 0.0))
    x = images()
    np.testing.assert_array_equal(ClassicalAugmentation((), none, seed=0)(x), x)


@pytest.mark.parametrize("name", CLASSICAL.model_dump())
def test_each_magnitude_changes_images_and_is_in_the_policy(name):
    larger = CLASSICAL.model_copy(update={name: 2 * getattr(CLASSICAL, name)})
    kept, moved = (ClassicalAugmentation((), m, seed=0) for m in (CLASSICAL, larger))
    assert (kept(images()) != moved(images())).any()
    assert kept.to_dict() != moved.to_dict()
    again = ClassicalAugmentation.from_dict(moved.to_dict())
    again.reseed(0)
    moved.reseed(0)
    np.testing.assert_array_equal(again(images()), moved(images()))


def test_the_policy_is_plain_values():
    policy = json.dumps(ClassicalAugmentation(("hflip",), CLASSICAL, seed=0).to_dict())
    assert "HorizontalFlip" in policy
    assert "VerticalFlip" not in policy


def test_the_agpl_fork_is_refused(monkeypatch):
    monkeypatch.setattr(classical, "version", lambda package: "2.5.1")
    with pytest.raises(GanaugError, match=r"albumentationsx 2\.5\.1 .*pip uninstall"):
        ClassicalAugmentation((), CLASSICAL, seed=0)


def test_a_spectrogram_is_shifted_in_time_and_never_in_pitch():
    image = np.zeros((200, 16, 16, 1), np.uint8)
    image[:, 4, 8] = 200
    magnitudes = CLASSICAL.model_copy(update={"max_shift": 0.25, "max_brightness": 0.0})
    changed = ClassicalAugmentation((), magnitudes, seed=0, spectrogram_side=16)(image)[..., 0]
    assert set(np.nonzero(changed)[1]) == {4}
    assert {5, 11} <= set(np.nonzero(changed)[2]) <= set(range(4, 13))


def test_gain_adds_the_same_to_every_value_of_a_spectrogram_and_masks_are_stripes():
    image = images(1, side=32) // 4 + 90
    many, still = np.repeat(image, 200, axis=0), {"max_shift": 0.0, "max_contrast": 0.5}
    magnitudes = CLASSICAL.model_copy(update=still)
    changed = ClassicalAugmentation((), magnitudes, seed=0, spectrogram_side=32)(many)[..., 0]
    masked = changed == 0
    gains = np.where(masked, np.nan, changed.astype(float) - many[..., 0])
    spread = np.nanmax(gains, axis=(1, 2)) - np.nanmin(gains, axis=(1, 2))
    assert spread.max() <= 1
    assert np.ptp(np.nanmedian(gains, axis=(1, 2))) > 10
    columns, rows = masked.all(axis=1), masked.all(axis=2)
    np.testing.assert_array_equal(masked, columns[:, None, :] | rows[:, :, None])
    for stripes in (columns, rows):
        widths = stripes.sum(axis=1)
        assert widths.max() <= 4  # an eighth
        assert 0.3 < (widths > 0).mean() < 0.7


def test_the_policy_of_sound_is_stored_too():
    policy = ClassicalAugmentation((), CLASSICAL, seed=5, spectrogram_side=16)
    stored = ClassicalAugmentation.from_dict(json.loads(json.dumps(policy.to_dict())))
    stored.reseed(5)
    np.testing.assert_array_equal(stored(images()), policy(images()))
