import numpy as np
import pytest

from ganaug.quality.fragments import measure_fragments

SIDE, PER_GROUP = 64, 6


def pictures(number, *, seed, channels=1):
    """[N, 64, 64, C] smooth pictures with some noise, each of its own."""
    rng = np.random.default_rng(seed)
    coarse = rng.normal(size=(number, 16, 16, channels)).repeat(4, axis=1).repeat(4, axis=2)
    fine = rng.normal(size=(number, SIDE, SIDE, channels))
    return np.clip(128 + 40 * coarse + 8 * fine, 0, 255).astype(np.uint8)


TRAIN = pictures(120, seed=0)
GROUPS = np.arange(120) // PER_GROUP


def measure(made, *, train=TRAIN, groups=GROUPS):
    return measure_fragments(made, train, groups, seed=0)


def pasted(made, *, size=16, share=1.0, flipped=False, seed=2):
    """Squares of training images, in their own place, in `share` of the images."""
    rng = np.random.default_rng(seed)
    made = made.copy()
    for image in made[: round(share * len(made))]:
        origin = TRAIN[rng.integers(len(TRAIN))]
        y, x = rng.integers(0, SIDE - size + 1, 2)
        origin = origin[:, ::-1] if flipped else origin
        image[y : y + size, x : x + size] = origin[y : y + size, x : x + size]
    return made


def test_new_images_hold_no_fragment():
    found = measure(pictures(200, seed=1))
    assert found["passed"], found
    assert found["with_fragment"] < 0.05
    assert found["with_fragment_real"] <= 0.01


@pytest.mark.parametrize("flipped", [False, True])
def test_every_pasted_square_of_a_quarter_of_the_side_is_found(flipped):
    found = measure(pasted(pictures(100, seed=1), flipped=flipped))
    assert found["with_fragment"] == 1
    assert not found["passed"]


def test_a_fifth_of_pasted_images_does_not_pass():
    found = measure(pasted(pictures(200, seed=1), share=0.2))
    assert found["with_fragment"] == pytest.approx(0.2, abs=0.05)
    assert not found["passed"]


def test_a_faint_trace_of_a_training_image_is_no_fragment():
    made = pictures(100, seed=1)
    faint = 0.7 * made + 0.3 * TRAIN[np.arange(100)]
    assert measure(faint.astype(np.uint8))["passed"]


def test_what_all_images_share_is_no_fragment():
    """A black frame, and pieces that whole groups have."""
    framed, train = pictures(100, seed=1), TRAIN.copy()
    for images in (framed, train):
        images[:, :16] = images[:, -16:] = 0
        images[:, 16:24, :8] = pictures(1, seed=5)[:, :8, :8]
    assert measure(framed, train=train)["passed"]
    assert measure(train[:60] * 0, train=train)["passed"]


def test_a_piece_that_a_group_repeats_is_still_a_fragment():
    train = TRAIN.copy()
    for group in range(20):
        train[group == GROUPS, 20:40, 20:40] = TRAIN[group * PER_GROUP, 20:40, 20:40]
    made = pictures(60, seed=1)
    made[:, 20:40, 20:40] = train[:60, 20:40, 20:40]
    assert measure(made, train=train)["with_fragment"] == 1


def test_colours_small_images_and_a_single_group():
    train = pictures(60, seed=0, channels=3)
    large = train.repeat(2, axis=1).repeat(2, axis=2)
    own = np.zeros(60, np.int64)
    for images in (train, large, train[:, :16, :16]):
        new = pictures(60, seed=1, channels=3)
        new = new.repeat(2, axis=1).repeat(2, axis=2) if images is large else new
        new = new[:, : images.shape[1], : images.shape[2]]
        assert measure(new, train=images, groups=own)["passed"]
        assert measure(images, train=images, groups=own)["with_fragment"] == 1


def test_too_few_images_are_not_called_clean():
    found = measure(pictures(9, seed=1))
    assert (found["passed"], found["too_few"]) == (False, True)


def test_two_groups_are_too_few_to_compare_so_each_image_stands_for_itself():
    few = np.arange(120) % 2
    copied = measure(TRAIN[:40].copy(), groups=few)
    assert copied["with_fragment"] == 1
    assert not copied["passed"]
    assert np.isfinite(copied["limit"])
    assert measure(pictures(100, seed=1), groups=few)["passed"]
