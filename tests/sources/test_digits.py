import numpy as np
from sklearn.datasets import load_digits as load_bunch

from ganaug.images import decode_png
from ganaug.sources.digits import load_digits


def test_pixels_are_the_packages_scaled_to_255(shipped_params):
    bunch = load_bunch()
    images = list(load_digits(shipped_params.prepare).images)
    assert len(images) == len(bunch.images)
    for image, expected, digit in zip(images[:50], bunch.images, bunch.target, strict=False):
        pixels = decode_png(image.content)
        assert pixels.shape == (8, 8, 1)
        assert np.abs(pixels[:, :, 0] / 255 - expected / 16).max() <= 0.5 / 255 + 1e-9
        assert image.class_name == str(digit)


def test_every_digit_stands_alone_and_keeps_no_flip(shipped_params):
    source = load_digits(shipped_params.prepare)
    assert source.facts.symmetries == ()
    assert {(image.group, image.split) for image in source.images} == {(None, None)}
