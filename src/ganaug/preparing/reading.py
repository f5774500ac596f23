"""Read every image of a source on all cores, in the source's order; drop none silently.

Workers decode batches of images and write the PNGs to a scratch folder. Memory holds facts about
each image, not the image. After a kill, the next run reads only the unfinished batches.
"""

import hashlib
import json
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import PIL

from ganaug import images as images_module
from ganaug import spectrogram, thumbnails
from ganaug.errors import DatasetError, GanaugError, RemoteError, SourceError
from ganaug.fileio import Span, atomic_file, read_json, sha256_file, write_sealed
from ganaug.images import Pixels, encode_png, pixel_id
from ganaug.parallel import MapTasks, in_order
from ganaug.preparing import decode, sound
from ganaug.preparing.checks import Candidate, Rejection
from ganaug.preparing.decode import Form, decode_image
from ganaug.preparing.sound import decode_sound
from ganaug.progress import ProgressReport
from ganaug.sources.base import SourceImage, UnusableImage
from ganaug.sources.files import fetched
from ganaug.sources.remote import Place
from ganaug.thumbnails import shrink

IMAGES_PER_BATCH = 64  # small, so that all workers end at about the same time
BYTES_PER_BATCH = 2**24  # encoded images in memory, then sent to a worker


@dataclass(frozen=True)
class _Batch:
    images: list[SourceImage]
    path: Path  # the PNGs, concatenated; a .json beside it has the facts
    form: Form


def read_candidates(
    images: Iterable[SourceImage],
    form: Form,
    *,
    scratch: Path,
    map_tasks: MapTasks = map,
) -> tuple[list[Candidate], list[Rejection]]:
    """Decode every image in the source's order, and show the progress.

    Args:
        images: of the source.
        form: size and channels of the result.
        scratch: folder for the PNGs; the candidates point into its files. Finished batches of a
            stopped run are reused if images, form and code are the same.
        map_tasks: as `map`, which works in this process; may give the results in any order.
    Raises:
        SourceError: two images of the source have one name.
        RemoteError: an image at a URL can't be read; the next run goes on.
        WorkerError: see `map_unordered`.
    """
    outcomes = list[Candidate | Rejection]()
    with ProgressReport("read", total=None) as progress:
        for part in in_order(_read_batch, _cut(images, scratch, form), map_tasks):
            outcomes += part
            progress.advance(len(part))
    candidates = [outcome for outcome in outcomes if isinstance(outcome, Candidate)]
    return candidates, [outcome for outcome in outcomes if isinstance(outcome, Rejection)]


@contextmanager
def scratch_folder(path: Path) -> Iterator[Path]:
    """A working folder: removed after success or an error of ours, kept after an interruption."""
    try:
        yield path
    except RemoteError:  # the network is an interruption
        raise
    except GanaugError:
        shutil.rmtree(path, ignore_errors=True)
        raise
    shutil.rmtree(path, ignore_errors=True)


def _cut(images: Iterable[SourceImage], scratch: Path, form: Form) -> Iterator[_Batch]:
    scratch.mkdir(parents=True, exist_ok=True)
    seen = set[str]()
    part, size, number = list[SourceImage](), 0, 0
    for image in images:
        if image.name in seen:
            raise SourceError(f"the source has two images named {image.name!r}; rename one")
        seen.add(image.name)
        part.append(image)
        size += len(image.content) if isinstance(image.content, bytes) else 0
        if len(part) == IMAGES_PER_BATCH or size >= BYTES_PER_BATCH:
            yield _Batch(part, scratch / f"{number:06d}.png", form)
            part, size, number = [], 0, number + 1
    if part:
        yield _Batch(part, scratch / f"{number:06d}.png", form)


def _read_batch(batch: _Batch) -> list[Candidate | Rejection]:
    key, facts = _key(batch), batch.path.with_suffix(".json")
    with suppress(DatasetError, OSError):
        known = read_json(facts)
        if known["key"] == key and known["sha256"] == sha256_file(batch.path):
            return list(_outcomes(batch, known["images"]))
    facts.unlink(missing_ok=True)
    with atomic_file(batch.path) as temporary, temporary.open("wb") as file:
        found = [_read_one(image, batch.form) for image in fetched(batch.images)]
        file.writelines(png for _, _, png in found)
    rows = [(first, second, len(png)) for first, second, png in found]
    write_sealed({"key": key, "images": rows, "sha256": sha256_file(batch.path)}, facts)
    return list(_outcomes(batch, rows))


def _key(batch: _Batch) -> str:
    """Hash of the images, the form and the code.

    A file counts by path, size and time; one at a URL or from an archive by its version and name.
    """
    modules = (decode, images_module, sound, spectrogram, thumbnails)
    files = (__file__, *(str(module.__file__) for module in modules))
    code = [PIL.__version__, *(sha256_file(Path(file)) for file in files)]
    digest = hashlib.sha256(json.dumps([code, astuple(batch.form)]).encode())
    for image in batch.images:
        content: Any = image.content
        if image.version is not None and isinstance(content, Place):
            content = image.version
        elif isinstance(content, Path):
            facts = None
            with suppress(OSError, ValueError):  # missing or no path at all: rejected later
                facts = (content.stat().st_size, content.stat().st_mtime_ns)
            content = [str(content), facts]
        elif isinstance(content, bytes):
            content = hashlib.sha256(content).hexdigest()
        named = [image.name, image.class_name, image.group, image.split]
        digest.update(repr([named, content]).encode())
    return digest.hexdigest()


def _read_one(image: SourceImage, form: Form) -> tuple[str, str, bytes]:
    """(image_id, thumbnail in hexadecimal, PNG), or (reason, detail, nothing)."""
    try:
        if isinstance(image.content, UnusableImage):
            raise image.content
        if form.scale is None:
            pixels = decode_image(image.content, form)
        else:
            pixels = decode_sound(image.content, form.scale)
    except UnusableImage as unusable:
        return unusable.reason, unusable.detail, b""
    if pixels.min() == pixels.max():
        return "constant", f"every pixel is {pixels.flat[0]}", b""
    return pixel_id(pixels), thumbnail(pixels).hex(), encode_png(pixels)


def thumbnail(pixels: Pixels) -> bytes:
    """[H, W, C] uint8, H = W a multiple of 16 -> 16 x 16 x C, rounded."""
    return bytes(np.rint(shrink(pixels[None])).astype(np.uint8))


def _outcomes(
    batch: _Batch, rows: Iterable[tuple[str, str, int]]
) -> Iterator[Candidate | Rejection]:
    start = 0
    for image, (first, second, length) in zip(batch.images, rows, strict=True):
        if not length:
            yield Rejection(image.name, first, second)
            continue
        known = (image.name, image.class_name, image.group, image.split)
        png = Span(batch.path, start, length)
        yield Candidate(*known, image_id=first, thumbnail=bytes.fromhex(second), png=png)
        start += length
