import numpy as np

from ganaug.thumbnails import combine, flip, thumbnails


def images(n=3, side=32, channels=1):
    return np.random.default_rng(0).integers(40, 200, (n, side, side, channels), dtype=np.uint8)


def test_each_is_standardised_on_its_own():
    for side, channels in ((16, 1), (64, 3)):
        small = thumbnails(images(3, side, channels))
        assert small.shape == (3, 256 * channels)
        np.testing.assert_allclose(small.mean(axis=1), 0, atol=1e-5)
        assert (np.abs(small.std(axis=1) - 1) < 0.3).all()
    assert np.abs(thumbnails(np.full((1, 16, 16, 1), 7, np.uint8))).max() == 0
    assert thumbnails(images(0)).shape == (0, 256)


def test_pixels_are_averaged_in_place():
    image = np.zeros((1, 32, 32, 1), np.uint8)
    image[0, 2:4, 4:6] = 200  # one block of the 16 x 16 grid
    assert thumbnails(image).argmax() == 1 * 16 + 2


def test_noise_and_dimming_hardly_move_an_image():
    x = images(8, side=64)
    noise = np.random.default_rng(1).normal(0, 4, x.shape)
    small, noisy = (thumbnails(y) for y in (x, np.clip(x * 0.8 + noise, 0, 255).astype(np.uint8)))
    apart = np.linalg.norm(small[0] - small[1])
    assert np.linalg.norm(small - noisy, axis=1).max() < 0.3 * apart


def test_a_flipped_thumbnail_is_that_of_the_flipped_image_and_flips_combine():
    every = combine(["vflip", "hflip"])
    assert every == [(), ("hflip",), ("vflip",), ("hflip", "vflip")]
    assert combine([]) == [()]
    for x in (images(4), images(4, channels=3)):
        for names, axes in zip(every, ((), 2, 1, (1, 2)), strict=True):
            expected = thumbnails(np.flip(x, axes))
            np.testing.assert_allclose(flip(thumbnails(x), names), expected, atol=1e-6)
