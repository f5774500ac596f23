import io

import numpy as np
import pytest
from PIL import Image

from ganaug.images import decode_png, encode_png, is_marked_synthetic, pixel_id, tile


@pytest.fixture(params=[1, 3])
def pixels(request):
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (7, 5, request.param), dtype=np.uint8)
    assert image.shape == (7, 5, request.param)
    return image


def test_png_gives_the_pixels_back(pixels):
    decoded = decode_png(encode_png(pixels))
    assert decoded.dtype == np.uint8
    assert np.array_equal(decoded, pixels)


def test_the_mark_of_synthetic_media_is_found(pixels):
    assert is_marked_synthetic(encode_png(pixels, synthetic=True))
    assert not is_marked_synthetic(encode_png(pixels))
    assert np.array_equal(decode_png(encode_png(pixels, synthetic=True)), pixels)


def test_what_is_no_png_is_refused():
    with pytest.raises(ValueError, match="not a PNG that can be decoded"):
        decode_png(b"not a PNG")


@pytest.mark.parametrize(
    ("shape", "dtype"), [((4, 4, 4), np.uint8), ((4, 4), np.uint16)], ids=["alpha", "16 bit"]
)
def test_pngs_of_another_kind_are_refused(shape, dtype):
    buffer = io.BytesIO()
    Image.fromarray(np.ones(shape, dtype)).save(buffer, format="PNG")
    with pytest.raises(ValueError, match="not grey or RGB with 8 bits"):
        decode_png(buffer.getvalue())


def test_equal_pixels_give_equal_bytes_whatever_their_layout_in_memory(pixels):
    other_layout = np.asfortranarray(pixels)
    assert encode_png(other_layout) == encode_png(pixels)
    assert pixel_id(other_layout) == pixel_id(pixels)


def test_png_is_read_by_others(pixels, tmp_path):
    (tmp_path / "x.png").write_bytes(encode_png(pixels))
    with Image.open(tmp_path / "x.png") as image:
        assert image.format == "PNG"
        assert image.mode == ("L" if pixels.shape[2] == 1 else "RGB")
        assert image.size == (5, 7)


def test_an_id_names_content_and_shape(pixels):
    brighter = pixels.copy()
    brighter[0, 0, 0] ^= 1
    ids = {pixel_id(x) for x in (pixels, brighter, pixels.reshape(5, 7, -1))}
    assert len(ids) == 3
    assert all(len(i) == 32 and set(i) <= set("0123456789abcdef") for i in ids)


def test_a_tiling_shows_every_image_in_reading_order_and_fills_up_with_black():
    images = np.stack([np.full((2, 3, 1), value, np.uint8) for value in (10, 20, 30)])
    grid = tile(images, columns=2)
    assert grid.shape == (4, 6, 1)
    assert grid[::2, ::3, 0].tolist() == [[10, 20], [30, 0]]
