"""Pixels and PNG: uint8 [H, W, C] arrays with C = 1 (grey) or 3 (RGB), and their identity."""

import hashlib
import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Pixels = NDArray[np.uint8]


def encode_png(pixels: Pixels) -> bytes:
    """Encode [H, W, C] uint8 as PNG; equal pixels give equal bytes."""
    buffer = io.BytesIO()
    flat = pixels[:, :, 0] if pixels.shape[2] == 1 else pixels
    Image.fromarray(flat).save(buffer, format="PNG")
    return buffer.getvalue()


def decode_png(content: bytes) -> Pixels:
    """Decode a PNG that `encode_png` made to [H, W, C] uint8."""
    with Image.open(io.BytesIO(content)) as image:
        pixels = np.asarray(image)
    return pixels[:, :, None] if pixels.ndim == 2 else pixels


def pixel_id(pixels: Pixels) -> str:
    """32 hexadecimal digits that name the image's content: SHA-256 of shape and pixels."""
    digest = hashlib.sha256(repr(pixels.shape).encode())
    digest.update(np.ascontiguousarray(pixels).tobytes())
    return digest.hexdigest()[:32]


def tile(images: Pixels, *, columns: int) -> Pixels:
    """Lay images [N, H, W, C] out in rows of `columns`, as one [rows * H, columns * W, C] image."""
    missing = -len(images) % columns
    padded = np.concatenate([images, np.zeros((missing, *images.shape[1:]), np.uint8)])
    rows, (height, width, channels) = len(padded) // columns, images.shape[1:]
    grid = padded.reshape(rows, columns, height, width, channels).swapaxes(1, 2)
    return grid.reshape(rows * height, columns * width, channels)
