"""Pixels and PNG: uint8 [H, W, C] arrays with C = 1 (grey) or 3 (RGB), and their identity."""

import hashlib
import io

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.PngImagePlugin import PngInfo

Pixels = NDArray[np.uint8]
Labels = NDArray[np.int64]  # of images, 0..K-1
Indices = NDArray[np.int64]  # numbers of rows: which images
Groups = NDArray[np.int64]  # a number for each image's group
SIGNATURE = b"\x89PNG\r\n\x1a\n"
XMP_KEY = "XML:com.adobe.xmp"
# IPTC's term for what a trained generator made, in the place where photo software looks for it.
SYNTHETIC_TERM = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
SYNTHETIC_XMP = (
    '<x:xmpmeta xmlns:x="adobe:ns:meta/">'
    '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    '<rdf:Description xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/" '
    f'Iptc4xmpExt:DigitalSourceType="{SYNTHETIC_TERM}"/></rdf:RDF></x:xmpmeta>'
)


def encode_png(pixels: Pixels, *, synthetic: bool = False) -> bytes:
    """Encode [H, W, C] uint8 as PNG; equal pixels give equal bytes.

    `synthetic` marks the file as made by a trained generator (IPTC digitalSourceType in XMP).
    """
    buffer = io.BytesIO()
    flat = pixels[:, :, 0] if pixels.shape[2] == 1 else pixels
    chunks = PngInfo()
    if synthetic:
        chunks.add_itxt(XMP_KEY, SYNTHETIC_XMP)
    Image.fromarray(flat).save(buffer, format="PNG", pnginfo=chunks)
    return buffer.getvalue()


def decode_png(content: bytes) -> Pixels:
    """The image, [H, W, C] uint8, of a PNG that `encode_png` made.

    Raises:
        ValueError: it can't be decoded, or is not grey or RGB with 8 bits.
    """
    # OpenCV, since every stage and consumer decodes each row, and Pillow is slower.
    buffer = np.frombuffer(content, np.uint8)
    found = cv2.imdecode(buffer, cv2.IMREAD_UNCHANGED) if content.startswith(SIGNATURE) else None
    if found is None:
        raise ValueError("not a PNG that can be decoded")
    if found.dtype != np.uint8 or found.shape[2:] not in {(), (3,)}:
        raise ValueError(f"{found.dtype} and shape {found.shape}, not grey or RGB with 8 bits")
    pixels = found[:, :, None] if found.ndim == 2 else cv2.cvtColor(found, cv2.COLOR_BGR2RGB)
    return np.asarray(pixels, np.uint8)


def is_marked_synthetic(content: bytes) -> bool:
    """Whether an image file says that a trained generator made it."""
    return SYNTHETIC_TERM.encode() in content


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
