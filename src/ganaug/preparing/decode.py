"""Decode an image file to square 8-bit pixels, or say why not.

Rules, so that nothing is clipped or guessed: EXIF rotation is applied; animations and stacks of
pages are refused; 16-bit values are divided by 257; transparency is laid over black; colour becomes
grey by 0.299 R + 0.587 G + 0.114 B; sides are scaled without keeping their ratio, with Lanczos down
(after a box filter to about twice the size) and bicubic up, in Pillow's integer arithmetic,
which gives the same bytes on every machine.
"""

import ctypes
import io
import logging
import warnings
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError, _imaging

from ganaug.errors import RemoteError, one_line
from ganaug.images import Pixels, is_marked_synthetic
from ganaug.sources.base import UnusableImage, refuse_size
from ganaug.sources.remote import Place, RemotePath
from ganaug.spectrogram import Scale

ANIMATED_FORMATS = ("GIF", "PNG", "WEBP", "AVIF", "TIFF")  # phones' MPO holds one photo and more
REDUCING_GAP = 2.0  # the box filter leaves this many times the size, as for Pillow's thumbnails
MOST_ELONGATED = 8  # longer to shorter side; a strip squeezed into a square shows nothing
LARGEST_16_BIT = 65535
WIDE_MODES = ("I", "F")  # and I;16 in its byte orders: more than 8 bits a pixel
GREY_MODES = ("1", "L")
GREY_SPREAD = 2  # between the channels of a pixel: what JPEG makes of a grey picture


@dataclass(frozen=True)
class Form:
    """The form that every image gets, and the largest file to decode."""

    resolution: int  # pixels per side
    channels: int | None  # 1 grey | 3 RGB | None: grey where the image shows no colour, else RGB
    max_pixels: int  # of the file; a broken or hostile header may claim any size
    scale: Scale | None = None  # of the spectrogram to make of a file, which then holds sound

    @property
    def mode(self) -> str | None:
        """Pillow's name for the channels."""
        return {1: "L", 3: "RGB", None: None}[self.channels]


def decode_image(content: bytes | Place, form: Form) -> Pixels:
    """Decode an image file to pixels.

    Args:
        content: the file's bytes, or its path.
        form: what to make of it.
    Returns:
        [resolution, resolution, channels] uint8.
    Raises:
        UnusableImage: the content is no image, is cut short, is marked as synthetic, has several
            frames, too many pixels or values out of range.
    """
    silence_pillow()
    try:
        image = _flatten_alpha(_to_eight_bits(_open(read_file(content), form)))
        mode = form.mode or ("L" if image.mode in GREY_MODES else "RGB")
        image = image.convert(mode) if image.mode != mode else image
        image = _resize(image, form.resolution)
        if form.mode is None and _shows_no_colour(image):
            image = image.convert("L")
    except (UnusableImage, RemoteError):
        raise
    except Image.DecompressionBombError as error:  # many times Pillow's own limit
        raise UnusableImage("too_large", one_line(error)) from error
    except UnidentifiedImageError as error:  # whose text holds a memory address
        raise UnusableImage("unreadable", "not an image file") from error
    # Pillow's readers raise nearly anything on broken bytes; one bad file must not end the stage.
    except Exception as error:
        raise UnusableImage("unreadable", one_line(error)) from error
    pixels = np.asarray(image)
    return pixels[:, :, None] if pixels.ndim == 2 else pixels


def silence_pillow() -> None:
    """Silence what Pillow and libtiff print about a damaged file: its rejection names the reason.

    Set the filter for the whole process, and again for each image, since other libraries add theirs
    in front. `warnings.catch_warnings` would undo the filters of another thread (Dask).
    """
    warnings.filterwarnings("ignore", module=r"PIL\.")
    _silence_handlers()


@cache
def _silence_handlers() -> None:
    logging.getLogger("PIL").addHandler(logging.NullHandler())
    # libtiff writes to stderr from C. It can be reached unless it is linked into Pillow.
    with suppress(OSError, AttributeError):
        libtiff = ctypes.CDLL(_imaging.__file__)
        libtiff.TIFFSetErrorHandler(None)
        libtiff.TIFFSetWarningHandler(None)


def read_file(content: bytes | Place) -> bytes:
    """The bytes of a file, given them or its path.

    Raises:
        UnusableImage: it is no regular file, is empty, would fill the memory, or is marked as
            synthetic.
        RemoteError: it is at a URL, and can't be read.
    """
    if isinstance(content, RemotePath):
        content = content.read_bytes()
    elif isinstance(content, Path):
        if content.exists() and not content.is_file():  # reading a pipe would block
            raise UnusableImage("unreadable", "not a regular file")
        if refused := refuse_size(content.stat().st_size):
            raise refused
        content = content.read_bytes()
    if not content:
        raise UnusableImage("unreadable", "the file is empty")
    if is_marked_synthetic(content):
        raise UnusableImage("synthetic", "its metadata says that a trained generator made it")
    return content


def _open(raw: bytes, form: Form) -> Image.Image:
    """Decode all pixels and turn them upright; decode JPEG near the wanted size and mode."""
    image = Image.open(io.BytesIO(raw))
    if image.width * image.height > form.max_pixels:
        size = f"{image.width} x {image.height} pixels"
        raise UnusableImage("too_large", f"{size}; prepare.max_pixels is {form.max_pixels}")
    if max(image.size) > MOST_ELONGATED * min(image.size):
        raise UnusableImage(
            "elongated", f"{image.width} x {image.height} pixels; at most {MOST_ELONGATED} to 1"
        )
    num_frames = getattr(image, "n_frames", 1)
    if num_frames > 1 and image.format in ANIMATED_FORMATS:
        raise UnusableImage("animated", f"{num_frames} frames or pages; store each as a file")
    side = int(form.resolution * REDUCING_GAP)
    image.draft(form.mode, (side, side))  # nothing but JPEG can
    image.load()
    ImageOps.exif_transpose(image, in_place=True)
    return image


def _to_eight_bits(image: Image.Image) -> Image.Image:
    """Scale 16-bit integers and floats in 0..1 to 0..255; any other scale would be a guess."""
    if image.mode not in WIDE_MODES and not image.mode.startswith("I;"):
        return image
    with np.errstate(invalid="ignore"):  # of NaN, which is refused below
        values = np.asarray(image).astype(np.float64)
    top = 1.0 if image.mode == "F" else float(LARGEST_16_BIT)
    low, high = float(values.min()), float(values.max())
    if not (low >= 0 and high <= top):  # NaN fails too
        raise UnusableImage(
            "value_range", f"pixels {low:g}..{high:g} in mode {image.mode}; expected 0..{top:g}"
        )
    return Image.fromarray(np.rint(values * (255 / top)).astype(np.uint8))


def _flatten_alpha(image: Image.Image) -> Image.Image:
    """Lay transparent pixels over black; convert palettes and other colour spaces to RGB."""
    if image.has_transparency_data:
        overlay = image.convert("RGBA")
        black = Image.new("RGBA", overlay.size, "black")
        return Image.alpha_composite(black, overlay).convert("RGB")
    return image if image.mode in (*GREY_MODES, "RGB") else image.convert("RGB")


def _shows_no_colour(image: Image.Image) -> bool:
    return image.mode == "L" or bool(np.ptp(np.asarray(image), axis=2).max() <= GREY_SPREAD)


def _resize(image: Image.Image, resolution: int) -> Image.Image:
    """Scale both sides to `resolution`: longer ones down with Lanczos, shorter ones up bicubic."""
    width, height = image.size
    smaller = (min(width, resolution), min(height, resolution))
    image = image.resize(smaller, Image.Resampling.LANCZOS, reducing_gap=REDUCING_GAP)
    return image.resize((resolution, resolution), Image.Resampling.BICUBIC)
