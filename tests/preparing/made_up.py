"""Pictures, their bytes in any format, and candidates."""

import io

import numpy as np
from PIL import Image

from ganaug.preparing.checks import Candidate


def picture(seed, *, side=128):
    """A smooth grey picture of its own."""
    coarse = np.random.default_rng(seed).integers(0, 256, (8, 8), dtype=np.uint8)
    return Image.fromarray(coarse).resize((side, side), Image.Resampling.BICUBIC)


def encoded(image, file_format="PNG", **options):
    """The bytes of a file; `image` may be an array."""
    image = Image.fromarray(image) if isinstance(image, np.ndarray) else image
    buffer = io.BytesIO()
    image.save(buffer, format=file_format, **options)
    return buffer.getvalue()


def candidate(name, pixels="", class_name="cat", *, group=None, split=None, thumbnail=b""):
    return Candidate(name, class_name, group, split, pixels or f"id-{name}", thumbnail, png=None)
