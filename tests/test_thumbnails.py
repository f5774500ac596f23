import numpy as np
import pytest

from ganaug.thumbnails import combine, flip, thumbnails


def images(n=3, side=32, channels=1):
    return np.random.default_rng(0).integers(40, 200, (n, side, side, channels), dtype=np.uint8)


@pytest.mark.parametrize(("side", "channels"), [(16, 1), (64, 3)])
def test_each_is_standardised_on_its_own(side, channels):
    small = thumbnails(images(3, side, channels))
    assert small.shape == (3, 256 * channels)
    np.testing.assert_allclose(small.mean(axis=1), 0, atol=1e-5)
    assert (np.abs(small.std(axis=1) - 1) < 0.3).all()


def test_pixels_are_averaged_in_place():
    image = np.zeros((1, 32, 32, 1), np.uint8)
    image[0, 2:4, 4:6] = 200  # one block of the 16 x 16 grid
    assert thumbnails(image).argmax() == 1 * 16 + 2


def test_noise_and_dimming_hardly_move_an_image():
    x = images(8, side=64)
    rng = np.random.default_rng(1)
    noisy = np.clip(x * 0.8 + rng.normal(0, 4, x.shape), 0, 255).astype(np.uint8)
    apart = np.linalg.norm(thumbnails(x)[0] - thumbnails(x)[1])
    assert np.linalg.norm(thumbnails(x) - thumbnails(noisy), axis=1).max() < 0.3 * apart


def test_a_flat_image_stays_flat_and_no_image_gives_no_row():
    assert np.abs(thumbnails(np.full((1, 16, 16, 1), 7, np.uint8))).max() == 0
    assert thumbnails(images(0)).shape == (0, 256)


@pytest.mark.parametrize("channels", [1, 3])
def test_a_flipped_thumbnail_is_that_of_the_flipped_image(channels):
    x = images(4, side=32, channels=channels)
    for names, axes in (((), ()), (("hflip",), 2), (("vflip",), 1), (("hflip", "vflip"), (1, 2))):
        expected = thumbnails(np.flip(x, axes))
        np.testing.assert_allclose(flip(thumbnails(x), names), expected, atol=1e-6)


def test_flips_combine():
    assert combine(["vflip", "hflip"]) == [(), ("hflip",), ("vflip",), ("hflip", "vflip")]
    assert combine([]) == [()]
