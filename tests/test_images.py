import io

import numpy as np
from PIL import Image

from ganaug.images import decode_png, encode_png, is_marked_synthetic, pixel_id, tile
from tests.refusal import refuses

GREY, COLOUR = (
    np.random.default_rng(0).integers(0, 256, (7, 5, channels), dtype=np.uint8)
    for channels in (1, 3)
)


def test_png_gives_the_pixels_back_also_to_others_with_and_without_the_mark():
    for pixels, mode in ((GREY, "L"), (COLOUR, "RGB")):
        for marked in (False, True):
            content = encode_png(pixels, synthetic=marked)
            assert is_marked_synthetic(content) == marked
            assert decode_png(content).dtype == np.uint8
            assert np.array_equal(decode_png(content), pixels)
            with Image.open(io.BytesIO(content)) as image:
                assert (image.format, image.mode, image.size) == ("PNG", mode, (5, 7))


def test_what_is_no_png_of_ours_is_refused():
    refuses(ValueError, "not a PNG that can be decoded", decode_png, b"not a PNG")
    for alpha_or_16_bit in (np.ones((4, 4, 4), np.uint8), np.ones((4, 4), np.uint16)):
        buffer = io.BytesIO()
        Image.fromarray(alpha_or_16_bit).save(buffer, format="PNG")
        refuses(ValueError, "not grey or RGB with 8 bits", decode_png, buffer.getvalue())


def test_bytes_and_id_follow_content_and_shape_and_not_the_layout_in_memory():
    for pixels in (GREY, COLOUR):
        other_layout, brighter = np.asfortranarray(pixels), pixels.copy()
        brighter[0, 0, 0] ^= 1
        assert encode_png(other_layout) == encode_png(pixels)
        assert pixel_id(other_layout) == pixel_id(pixels)
        ids = {pixel_id(x) for x in (pixels, brighter, pixels.reshape(5, 7, -1))}
        assert len(ids) == 3
        assert all(len(i) == 32 and set(i) <= set("0123456789abcdef") for i in ids)


def test_a_tiling_shows_every_image_in_reading_order_and_fills_up_with_black():
    images = np.stack([np.full((2, 3, 1), value, np.uint8) for value in (10, 20, 30)])
    grid = tile(images, columns=2)
    assert grid.shape == (4, 6, 1)
    assert grid[::2, ::3, 0].tolist() == [[10, 20], [30, 0]]
