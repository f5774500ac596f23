"""An encoded image file to square 8-bit pixels, or the reason why not.

Rules, so that nothing is clipped or guessed: EXIF rotation is applied; the first frame counts;
16-bit values are divided by 257; transparency is laid over black; colour becomes grey by
0.299 R + 0.587 G + 0.114 B; sides are scaled without keeping their ratio, with Lanczos down and
bicubic up, in Pillow's integer arithmetic, which gives the same bytes on every machine.
"""

import io
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from ganaug.images import Pixels

MOST_PIXELS = 2**26  # of an image file; a broken header may claim more than memory holds
MOST_ELONGATED = 8  # longer to shorter side; a strip squeezed into a square shows nothing
LARGEST_16_BIT = 65535
WIDE_MODES = ("I", "F")  # and I;16 in its byte orders: more than 8 bits a pixel
GREY_MODES = ("1", "L")


class UnusableImage(Exception):
    """An image that can't be used: `reason` is a short fixed word, `detail` is for people."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


def decode_image(content: bytes | Path, *, resolution: int, channels: int) -> Pixels:
    """Decode an image file to pixels.

    Args:
        content: the file's bytes, or its path.
        resolution: pixels per side of the result.
        channels: 1 grey | 3 RGB.
    Returns:
        [resolution, resolution, channels] uint8.
    Raises:
        UnusableImage: the content is no image, is cut short, or has values out of range.
    """
    try:
        raw = content.read_bytes() if isinstance(content, Path) else content
        image = open_image(raw)
        image = to_eight_bits(image)
        image = flatten_alpha(image)
        image = image.convert("L" if channels == 1 else "RGB")
        image = resize(image, resolution)
    except UnusableImage:
        raise
    except UnidentifiedImageError as error:  # whose text holds a memory address
        raise UnusableImage("unreadable", "not an image file") from error
    # Pillow's readers raise nearly anything on broken bytes; one bad file must not end the stage.
    except Exception as error:
        raise UnusableImage("unreadable", _one_line(error)) from error
    pixels = np.asarray(image)
    return pixels[:, :, None] if channels == 1 else pixels


def open_image(raw: bytes) -> Image.Image:
    """Decode all pixels of the first frame and turn them upright.

    Raises:
        UnusableImage: the content is empty, too large to decode, or a strip.
    """
    if not raw:
        raise UnusableImage("unreadable", "the file is empty")
    image = Image.open(io.BytesIO(raw))
    if image.width * image.height > MOST_PIXELS:
        raise UnusableImage(
            "too_large", f"{image.width} x {image.height} pixels; at most {MOST_PIXELS} are read"
        )
    if max(image.size) > MOST_ELONGATED * min(image.size):
        raise UnusableImage(
            "elongated", f"{image.width} x {image.height} pixels; at most {MOST_ELONGATED} to 1"
        )
    image.load()
    return ImageOps.exif_transpose(image)


def to_eight_bits(image: Image.Image) -> Image.Image:
    """Scale 16-bit integers and floats in 0..1 to 0..255; 8-bit images pass as they are.

    Raises:
        UnusableImage: wide pixels outside these ranges, whose scale would be a guess.
    """
    if image.mode not in WIDE_MODES and not image.mode.startswith("I;"):
        return image
    values = np.asarray(image).astype(np.float64)
    top = 1.0 if image.mode == "F" else float(LARGEST_16_BIT)
    low, high = float(values.min()), float(values.max())
    if not (low >= 0 and high <= top):  # NaN fails too
        raise UnusableImage(
            "value_range", f"pixels {low:g}..{high:g} in mode {image.mode}; expected 0..{top:g}"
        )
    scaled: NDArray[np.uint8] = np.rint(values * (255 / top)).astype(np.uint8)
    return Image.fromarray(scaled)


def flatten_alpha(image: Image.Image) -> Image.Image:
    """Lay transparent pixels over black, and give palettes and other colour spaces as RGB."""
    if image.has_transparency_data:
        overlay = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", overlay.size, "black"), overlay).convert(
            "RGB"
        )
    return image if image.mode in GREY_MODES else image.convert("RGB")


def resize(image: Image.Image, resolution: int) -> Image.Image:
    """Scale both sides to `resolution`: longer ones down with Lanczos, shorter ones up bicubic."""
    width, height = image.size
    smaller = (min(width, resolution), min(height, resolution))
    image = image.resize(smaller, Image.Resampling.LANCZOS)
    return image.resize((resolution, resolution), Image.Resampling.BICUBIC)


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
