import io

import numpy as np
import pandas as pd
from PIL import Image

from ganaug.reporting.figures import mosaic, reject_chart, training_curves, uplift_chart
from tests.publishing.small_run import toy_images

CURVE = pd.Series([1.0, 0.5, 0.7], index=[500, 1000, 1500])
LOSSES = pd.DataFrame({"generator": CURVE, "total": CURVE + 1})
DRAWN = pd.DataFrame({"kept": [5, 1], "low realism": [2, 0]}, index=["clear", "$x_{1$"])


def changed(mean, low, high):
    return {"cnn": {"mean_pp": mean, "low_pp": low, "high_pp": high}}


def pixels_of(png):
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB"))


def holds(picture, part):
    """Whether `part` lies somewhere in `picture`, pixel for pixel."""
    windows = np.lib.stride_tricks.sliding_window_view(picture, part.shape)
    found = (windows[:, :, 0, ::16, ::16] == part[::16, ::16]).all(axis=(2, 3, 4))
    return any((windows[y, x, 0] == part).all() for y, x in np.argwhere(found))


def test_a_mosaic_magnifies_every_image_without_blur_in_blocks_in_order():
    images = toy_images(3, 0)
    blocks = {"real": images[:2], "synthetic": images[2:]}
    picture = pixels_of(mosaic(blocks, columns=2, title="a"))
    for image in images:
        assert holds(picture, image.repeat(3, axis=2).repeat(16, axis=0).repeat(16, axis=1))
    dark, bright = np.zeros((8, 8, 1), np.uint8), np.full((8, 8, 1), 200, np.uint8)
    picture = pixels_of(mosaic({"a": [dark], "b": [bright]}, columns=1, title="t"))
    row = picture[-20]  # through the images
    first, second = (np.flatnonzero((row == level).all(axis=1)) for level in (0, 200))
    assert first.max() < second.min()


def test_large_images_are_reduced_and_colours_kept():
    red = np.zeros((256, 256, 3), np.uint8)
    red[:, :, 0] = 255
    picture = pixels_of(mosaic({"real": [red], "none": []}, columns=1, title="t"))
    assert (picture == [255, 0, 0]).all(axis=2).sum() == 128 * 128


def draw_all():
    return [
        mosaic({"real": toy_images(2, 0)}, columns=2, title="$x_{1$"),
        training_curves(LOSSES, CURVE / 10),
        uplift_chart(changed(1.0, -0.2, 2.2), margin_pp=0.5),
        reject_chart(DRAWN),
    ]


def test_figures_repeat_have_white_paper_and_keep_nothing_in_the_file():
    figures = draw_all()
    assert figures == draw_all()
    for png in figures:
        assert tuple(pixels_of(png)[0, 0]) == (255, 255, 255)
        assert not {"Software", "Creation Time"} & set(Image.open(io.BytesIO(png)).info)


def blue_columns(picture):
    return np.flatnonzero((picture[:, :, 2].astype(int) - picture[:, :, 0] > 40).any(axis=0))


def test_the_interval_lies_where_its_numbers_say_and_no_line_crosses_the_value():
    wide, narrow = (
        pixels_of(uplift_chart(changed(0.0, -end, end), margin_pp=4.0)) for end in (3, 0.5)
    )
    assert len(blue_columns(wide)) > 2 * len(blue_columns(narrow))
    picture = pixels_of(uplift_chart(changed(0.1, -2, 2), margin_pp=3.0))
    inked = np.flatnonzero((picture < 60).all(axis=2).any(axis=0))  # the zero line, then the value
    line, value = np.split(inked, [np.diff(inked).argmax() + 1])
    assert np.ptp(line) < 4
    assert value.min() > blue_columns(picture).max()
