import contextlib
import io
import warnings

import numpy as np
import pytest
from PIL import Image

from ganaug.preparing.decode import Form, decode_image
from ganaug.sources.base import MOST_BYTES, UnusableImage
from tests.preparing.made_up import encoded

GRADIENT = np.add.outer(np.arange(16), np.arange(16)).astype(np.uint8) * 8  # [16, 16]
NOISE = np.random.default_rng(0).integers(0, 256, (64, 64), dtype=np.uint8)


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


def test_grey_of_any_depth_passes_unchanged_from_bytes_and_from_a_path(tmp_path):
    wide = GRADIENT.astype(np.uint16) * 257
    for values, file_format in (
        (GRADIENT, "PNG"),
        (wide, "PNG"),  # scaled, not clipped
        (wide, "TIFF"),
        (wide.astype(np.int32), "TIFF"),
        ((GRADIENT / 255).astype(np.float32), "TIFF"),
    ):
        content = encoded(values, file_format)
        (tmp_path / "x").write_bytes(content)
        assert np.array_equal(decode(content)[:, :, 0], GRADIENT), (values.dtype, file_format)
        assert np.array_equal(decode(tmp_path / "x")[:, :, 0], GRADIENT)


def test_values_whose_scale_would_be_a_guess_are_rejected():
    for value, dtype in ((70000, "int32"), (-1, "int32"), (200, "float32"), (np.nan, "float32")):
        content = encoded(np.full((4, 4), value, dtype), "TIFF")
        assert reason_of(content) == "value_range", value


def test_colour_and_grey_become_each_other():
    colour = np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    assert np.array_equal(decode(encoded(colour), channels=3), colour)
    grey = decode(encoded(GRADIENT), channels=3)
    assert all(np.array_equal(grey[:, :, c], GRADIENT) for c in range(3))
    weighed = decode(encoded(Image.new("RGB", (4, 4), (100, 200, 50))))
    assert set(np.unique(weighed)) == {round(0.299 * 100 + 0.587 * 200 + 0.114 * 50)}


def test_without_channels_colour_decides():
    grey, form = Image.fromarray(GRADIENT), Form(16, None, 2**26)
    coloured = grey.convert("RGB")
    coloured.putpixel((3, 4), (200, 0, 0))
    for image, channels in ((grey, 1), (grey.convert("RGB"), 1), (coloured, 3)):
        assert decode_image(encoded(image), form).shape == (16, 16, channels)


def test_transparency_palettes_and_other_colour_spaces_are_converted():
    palette = Image.new("P", (4, 4), 1)
    palette.putpalette([0, 0, 0, 10, 200, 30])
    half = [round(value * 128 / 255) for value in (200, 100, 50)]
    for content, expected in (
        (encoded(Image.new("RGBA", (4, 4), (200, 100, 50, 128))), half),  # laid over black
        (encoded(Image.new("LA", (4, 4), (255, 0))), [0, 0, 0]),
        (encoded(palette), [10, 200, 30]),
        (encoded(palette, transparency=1), [0, 0, 0]),
        (encoded(palette, transparency=b"\xff\x00"), [0, 0, 0]),
        (encoded(Image.new("1", (4, 4), 1), "TIFF"), [255, 255, 255]),
        (encoded(Image.new("CMYK", (4, 4), (0, 0, 0, 0)), "TIFF"), [255, 255, 255]),
    ):
        assert np.abs(decode(content, channels=3).astype(int) - expected).max() <= 1, expected


def test_exif_rotation_is_applied():
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was held so that the picture must turn clockwise
    lying = GRADIENT.copy()
    lying[:4] = 255  # bright top
    upright = decode(encoded(lying, exif=exif))[:, :, 0]
    assert upright[:, -4:].min() == 255  # ... is on the right after the turn
    assert upright[:, :4].max() < 255


def test_any_shape_becomes_square_and_keeps_its_level():
    for size in ((16, 16), (300, 300), (300, 40), (8, 8), (12, 90), (1, 1)):
        assert set(np.unique(decode(encoded(Image.new("L", size, 77))))) == {77}, size


def test_scaling_down_does_not_alias():
    fine = np.indices((128, 128)).sum(axis=0) % 2 * 255  # a chequerboard averages to grey
    pixels = decode(encoded(fine.astype(np.uint8)))[4:-4, 4:-4].astype(int)
    assert np.abs(pixels - 127).max() <= 3


def test_a_large_photo_scales_in_steps_to_almost_the_same():
    rng = np.random.default_rng(0)
    photo = Image.fromarray(rng.integers(0, 256, (24, 32, 3), dtype=np.uint8))
    photo = photo.resize((640, 480), Image.Resampling.BICUBIC)
    plain = np.asarray(photo.convert("L").resize((16, 16), Image.Resampling.LANCZOS), int)
    for content in (encoded(photo), encoded(photo, "JPEG", quality=95)):
        difference = np.abs(decode(content)[:, :, 0] - plain)
        assert difference.mean() <= 1.5
        assert difference.max() <= 8  # at the border


def test_what_is_no_whole_image_is_rejected(tmp_path):
    broken = [b"", b"not an image", b"\x89PNG\r\n\x1a\n", b"GIF89a", tmp_path / "absent.png"]
    for file_format in ("PNG", "JPEG", "TIFF", "BMP"):
        content = encoded(NOISE, file_format)
        broken += [content[: int(share * len(content))] for share in (0.02, 0.3, 0.6, 0.9)]
    assert [reason_of(content) for content in broken] == ["unreadable"] * len(broken)


def test_images_too_large_too_narrow_or_of_several_frames_are_rejected():
    assert reason_of(encoded(Image.new("L", (10, 11))), max_pixels=100) == "too_large"
    decode(encoded(Image.new("L", (10, 10))), max_pixels=100)
    assert reason_of(encoded(GRADIENT[:1])) == "elongated"
    decode(encoded(GRADIENT[:2]))
    more = {"save_all": True, "append_images": [Image.fromarray(GRADIENT + 9)]}
    for file_format in ("GIF", "PNG", "WEBP", "TIFF"):
        assert reason_of(encoded(GRADIENT, file_format, **more)) == "animated", file_format
        decode(encoded(GRADIENT, file_format))


def test_broken_bytes_never_crash_and_say_nothing_beside_the_reason(capfd):
    rng = np.random.default_rng(0)
    whole = [encoded(GRADIENT, name) for name in ("PNG", "JPEG", "GIF", "TIFF", "BMP", "WEBP")]
    # libtiff's own decoders write to stderr from C.
    whole.append(encoded(Image.fromarray(GRADIENT).convert("1"), "TIFF", compression="group4"))
    outcomes = set()
    for trial in range(210):
        content = bytearray(whole[trial % len(whole)])
        for place in rng.integers(0, len(content), 4):
            content[place] = rng.integers(256)
        try:
            decode(bytes(content))
        except UnusableImage as unusable:
            outcomes.add(unusable.reason)
    assert outcomes <= {"unreadable", "value_range", "too_large", "elongated", "animated"}
    assert "unreadable" in outcomes
    assert capfd.readouterr() == ("", "")


def test_a_warning_of_pillow_stays_off_the_screen_and_others_do_not():
    exif = Image.Exif()
    exif[0x010F] = "a maker whose name is longer than the file"
    whole = encoded(GRADIENT, "TIFF", exif=exif)
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


def test_a_file_that_would_fill_the_memory_is_rejected_unread(tmp_path):
    path = tmp_path / "huge.png"
    with path.open("wb") as file:
        file.truncate(MOST_BYTES + 1)  # takes no room on the disk
    assert reason_of(path) == "too_large"


def test_a_signalling_nan_is_rejected_without_a_warning():
    bits = np.full((8, 8), 0x7F800001, np.uint32)  # casting it warns
    image = Image.frombytes("F", (8, 8), bits.tobytes())
    assert reason_of(encoded(image, "TIFF")) == "value_range"
