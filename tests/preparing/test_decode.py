import contextlib
import io
import warnings

import numpy as np
import pytest
from PIL import Image

from ganaug.preparing.decode import Form, UnusableImage, decode_image

GRADIENT = np.add.outer(np.arange(16), np.arange(16)).astype(np.uint8) * 8  # [16, 16]


def encoded(image, file_format="PNG", **options):
    buffer = io.BytesIO()
    image.save(buffer, format=file_format, **options)
    return buffer.getvalue()


def decode(content, *, resolution=16, channels=1, max_pixels=2**26):
    pixels = decode_image(content, Form(resolution, channels, max_pixels))
    assert pixels.dtype == np.uint8
    assert pixels.shape == (resolution, resolution, channels)
    return pixels


def reason_of(content, **options):
    with pytest.raises(UnusableImage) as caught:
        decode(content, **options)
    assert "\n" not in caught.value.detail
    assert caught.value.detail
    return caught.value.reason


def test_grey_at_its_own_size_passes_unchanged():
    assert np.array_equal(decode(encoded(Image.fromarray(GRADIENT)))[:, :, 0], GRADIENT)


def test_colour_at_its_own_size_passes_unchanged():
    colour = np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    assert np.array_equal(decode(encoded(Image.fromarray(colour)), channels=3), colour)


def test_grey_as_colour_repeats_its_channel():
    pixels = decode(encoded(Image.fromarray(GRADIENT)), channels=3)
    assert all(np.array_equal(pixels[:, :, c], GRADIENT) for c in range(3))


def test_colour_as_grey_weighs_the_channels():
    pixels = decode(encoded(Image.new("RGB", (4, 4), (100, 200, 50))))
    assert set(np.unique(pixels)) == {round(0.299 * 100 + 0.587 * 200 + 0.114 * 50)}


def test_a_path_is_read_like_bytes(tmp_path):
    content = encoded(Image.fromarray(GRADIENT))
    (tmp_path / "x.png").write_bytes(content)
    assert np.array_equal(decode(tmp_path / "x.png"), decode(content))


@pytest.mark.parametrize("file_format", ["PNG", "TIFF"])
def test_16_bit_grey_is_scaled_not_clipped(file_format):
    wide = GRADIENT.astype(np.uint16) * 257
    pixels = decode(encoded(Image.fromarray(wide), file_format))
    assert np.array_equal(pixels[:, :, 0], GRADIENT)


def test_32_bit_values_in_the_range_of_16_are_scaled_alike():
    wide = GRADIENT.astype(np.int32) * 257
    assert np.array_equal(decode(encoded(Image.fromarray(wide), "TIFF"))[:, :, 0], GRADIENT)


def test_floats_in_0_to_1_are_scaled():
    floats = (GRADIENT / 255).astype(np.float32)
    assert np.array_equal(decode(encoded(Image.fromarray(floats), "TIFF"))[:, :, 0], GRADIENT)


@pytest.mark.parametrize(
    "values",
    [
        np.full((4, 4), 70000, np.int32),
        np.full((4, 4), -1, np.int32),
        np.full((4, 4), 200.0, np.float32),
        np.full((4, 4), np.nan, np.float32),
    ],
)
def test_values_whose_scale_would_be_a_guess_are_rejected(values):
    assert reason_of(encoded(Image.fromarray(values), "TIFF")) == "value_range"


def test_transparency_is_laid_over_black():
    half = Image.new("RGBA", (4, 4), (200, 100, 50, 128))
    expected = [round(value * 128 / 255) for value in (200, 100, 50)]
    assert np.abs(decode(encoded(half), channels=3)[0, 0].astype(int) - expected).max() <= 1
    clear = Image.new("LA", (4, 4), (255, 0))
    assert decode(encoded(clear)).max() == 0


def test_a_palette_becomes_its_colours():
    palette = Image.new("P", (4, 4), 1)
    palette.putpalette([0, 0, 0, 10, 200, 30])
    assert decode(encoded(palette), channels=3)[0, 0].tolist() == [10, 200, 30]
    clear = encoded(palette, transparency=1)
    assert decode(clear, channels=3).max() == 0
    per_entry = encoded(palette, transparency=b"\xff\x00")
    assert decode(per_entry, channels=3).max() == 0


@pytest.mark.parametrize(("mode", "colour"), [("1", 1), ("CMYK", (0, 0, 0, 0))])
def test_other_colour_spaces_are_converted(mode, colour):
    content = encoded(Image.new(mode, (4, 4), colour), "TIFF")
    assert decode(content, channels=3).min() == 255


def test_exif_rotation_is_applied():
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was held so that the picture must turn clockwise
    lying = Image.fromarray(GRADIENT.copy())
    lying.paste(255, (0, 0, 16, 4))  # bright top
    upright = decode(encoded(lying, exif=exif))[:, :, 0]
    assert upright[:, -4:].min() == 255  # ... is on the right after the turn
    assert upright[:, :4].max() < 255


@pytest.mark.parametrize("size", [(16, 16), (300, 300), (300, 40), (8, 8), (12, 90), (1, 1)])
def test_any_shape_becomes_square_and_keeps_its_level(size):
    assert set(np.unique(decode(encoded(Image.new("L", size, 77))))) == {77}


def test_scaling_down_does_not_alias():
    fine = np.indices((128, 128)).sum(axis=0) % 2 * 255  # a chequerboard averages to grey
    pixels = decode(encoded(Image.fromarray(fine.astype(np.uint8))))
    assert abs(int(pixels[4:-4, 4:-4].min()) - 127) <= 3
    assert abs(int(pixels[4:-4, 4:-4].max()) - 127) <= 3


@pytest.mark.parametrize("file_format", ["PNG", "JPEG", "TIFF", "BMP"])
def test_a_file_that_is_cut_short_is_rejected(file_format):
    noise = np.random.default_rng(0).integers(0, 256, (64, 64), dtype=np.uint8)
    content = encoded(Image.fromarray(noise), file_format)
    for share in (0.02, 0.3, 0.6, 0.9):
        assert reason_of(content[: int(share * len(content))]) == "unreadable"


@pytest.mark.parametrize("content", [b"", b"not an image", b"\x89PNG\r\n\x1a\n", b"GIF89a"])
def test_what_is_no_image_is_rejected(content):
    assert reason_of(content) == "unreadable"


def test_a_missing_file_is_rejected(tmp_path):
    assert reason_of(tmp_path / "absent.png") == "unreadable"


def test_a_size_that_memory_may_not_hold_is_rejected():
    assert reason_of(encoded(Image.new("L", (10, 11))), max_pixels=100) == "too_large"
    decode(encoded(Image.new("L", (10, 10))), max_pixels=100)


@pytest.mark.parametrize("file_format", ["GIF", "PNG", "WEBP", "TIFF"])
def test_several_frames_or_pages_are_rejected(file_format):
    frames = [Image.fromarray(GRADIENT + shift) for shift in (0, 9)]
    more = {"save_all": True, "append_images": frames[1:]}
    assert reason_of(encoded(frames[0], file_format, **more)) == "animated"
    decode(encoded(frames[0], file_format))


def test_a_large_photo_scales_in_steps_to_almost_the_same():
    rng = np.random.default_rng(0)
    photo = Image.fromarray(rng.integers(0, 256, (24, 32, 3), dtype=np.uint8))
    photo = photo.resize((640, 480), Image.Resampling.BICUBIC)
    plain = np.asarray(photo.convert("L").resize((16, 16), Image.Resampling.LANCZOS), int)
    for content in (encoded(photo), encoded(photo, "JPEG", quality=95)):
        difference = np.abs(decode(content)[:, :, 0] - plain)
        assert difference.mean() <= 1.5
        assert difference.max() <= 8  # at the border


def test_a_strip_is_rejected_before_it_is_squeezed():
    assert reason_of(encoded(Image.fromarray(GRADIENT[:1]))) == "elongated"
    decode(encoded(Image.fromarray(GRADIENT[:2])))


def test_broken_bytes_never_crash_and_say_nothing_beside_the_reason(capfd):
    rng = np.random.default_rng(0)
    formats = ("PNG", "JPEG", "GIF", "TIFF", "BMP", "WEBP")
    whole = [encoded(Image.fromarray(GRADIENT), name) for name in formats]
    # libtiff's own decoders write to stderr from C.
    whole.append(encoded(Image.fromarray(GRADIENT).convert("1"), "TIFF", compression="group4"))
    outcomes = set()
    for trial in range(210):
        content = bytearray(whole[trial % len(whole)])
        for place in rng.integers(0, len(content), 4):
            content[place] = rng.integers(256)
        try:
            decode(bytes(content))
            outcomes.add("usable")
        except UnusableImage as unusable:
            outcomes.add(unusable.reason)
    assert outcomes <= {"usable", "unreadable", "value_range", "too_large", "elongated", "animated"}
    assert "unreadable" in outcomes
    assert capfd.readouterr() == ("", "")


def test_a_warning_of_pillow_stays_off_the_screen_and_others_do_not():
    exif = Image.Exif()
    exif[0x010F] = "a maker whose name is longer than the file"
    whole = encoded(Image.fromarray(GRADIENT), "TIFF", exif=exif)
    damaged = whole.replace((0x010F).to_bytes(2, "little") + b"\2\0", b"\x0f\1\2\0\xff\xff", 1)
    assert damaged != whole
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with contextlib.suppress(OSError):
            Image.open(io.BytesIO(damaged)).load()
        assert caught  # so Pillow does warn about this file
        caught.clear()
        with contextlib.suppress(UnusableImage):
            decode(damaged)
        warnings.warn("another library", UserWarning, stacklevel=1)
    assert [str(warning.message) for warning in caught] == ["another library"]


def test_without_channels_colour_decides():
    grey, form = Image.fromarray(GRADIENT), Form(16, None, 2**26)
    coloured = grey.convert("RGB")
    coloured.putpixel((3, 4), (200, 0, 0))
    for image, channels in ((grey, 1), (grey.convert("RGB"), 1), (coloured, 3)):
        assert decode_image(encoded(image), form).shape == (16, 16, channels)
