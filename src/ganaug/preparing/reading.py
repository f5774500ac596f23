"""Read every image of a source, on all cores, in the source's order; nothing is dropped silently.

Workers take images by the shard and leave the PNGs in a scratch folder, so that memory holds what
is known of each image and not the image. A run that was killed goes on behind its last whole shard.
"""

import hashlib
import json
import shutil
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import astuple, dataclass
from itertools import chain, islice
from pathlib import Path
from typing import Any

import numpy as np
import PIL
from rich.console import Console
from rich.progress import track

from ganaug.errors import DatasetError, GanaugError, SourceError
from ganaug.fileio import Span, atomic_file, read_json, sha256_file, write_json
from ganaug.images import Pixels, encode_png, pixel_id
from ganaug.parallel import Backend, map_unordered
from ganaug.preparing import decode
from ganaug.preparing.checks import Candidate, Rejection
from ganaug.preparing.decode import Form, UnusableImage, decode_image
from ganaug.sources.base import Refused, SourceImage
from ganaug.thumbnails import shrink

IMAGES_PER_SHARD = 64  # few, so that all workers end at about the same time
BYTES_PER_SHARD = 2**24  # of encoded images that lie in memory, and then go to a worker


@dataclass(frozen=True)
class _Shard:
    images: list[SourceImage]
    number: int
    path: Path  # of the PNGs, one after the other; the facts lie beside it in a .json
    form: Form


def read_candidates(
    images: Iterable[SourceImage],
    form: Form,
    *,
    scratch: Path,
    num_workers: int = -1,
    backend: Backend = "loky",
) -> tuple[list[Candidate], list[Rejection]]:
    """Decode every image, in the source's order; a bar shows on a terminal.

    Args:
        images: of the source.
        form: what they become.
        scratch: folder for the PNGs, which the candidates point into; what another run left there
            is used as far as it read the same.
        num_workers: processes; -1 one a core. The result does not depend on it.
        backend: where they run, see `map_unordered`; nor on this.
    Raises:
        SourceError: two images of the source have one name.
        WorkerError: see `map_unordered`.
    """
    shards = _cut(images, scratch, form)
    first = list(islice(shards, 2))
    results = map_unordered(
        _read_shard,
        chain(first, shards),
        num_workers=num_workers if len(first) == 2 else 1,
        backend=backend,
    )
    shown = track(
        results,
        description="prepare: shards of images",
        console=Console(stderr=True),
        transient=True,
        disable=not sys.stderr.isatty(),
    )
    outcomes = [outcome for _, part in sorted(shown, key=lambda r: r[0]) for outcome in part]
    candidates = [outcome for outcome in outcomes if isinstance(outcome, Candidate)]
    return candidates, [outcome for outcome in outcomes if isinstance(outcome, Rejection)]


@contextmanager
def scratch_folder(path: Path) -> Iterator[Path]:
    """A folder that goes when the work is done or refused; a run that was stopped leaves it."""
    try:
        yield path
    except GanaugError:
        shutil.rmtree(path, ignore_errors=True)
        raise
    shutil.rmtree(path, ignore_errors=True)


def _cut(images: Iterable[SourceImage], scratch: Path, form: Form) -> Iterator[_Shard]:
    scratch.mkdir(parents=True, exist_ok=True)
    seen = set[str]()
    part, size, number = list[SourceImage](), 0, 0
    for image in images:
        if image.name in seen:
            raise SourceError(f"the source has two images named {image.name!r}; rename one")
        seen.add(image.name)
        part.append(image)
        size += len(image.content) if isinstance(image.content, bytes) else 0
        if len(part) == IMAGES_PER_SHARD or size >= BYTES_PER_SHARD:
            yield _Shard(part, number, scratch / f"{number:06d}.png", form)
            part, size, number = [], 0, number + 1
    if part:
        yield _Shard(part, number, scratch / f"{number:06d}.png", form)


def _read_shard(shard: _Shard) -> tuple[int, list[Candidate | Rejection]]:
    key, facts = _key(shard), shard.path.with_suffix(".json")
    with suppress(DatasetError):
        known = read_json(facts)
        if known["key"] == key:
            return shard.number, list(_outcomes(shard, known["images"]))
    facts.unlink(missing_ok=True)
    with atomic_file(shard.path) as temporary, temporary.open("wb") as file:
        found = [_read_one(image, shard.form) for image in shard.images]
        file.writelines(png for _, _, png in found)
    rows = [(first, second, len(png)) for first, second, png in found]
    write_json({"key": key, "images": rows}, facts)
    return shard.number, list(_outcomes(shard, rows))


def _key(shard: _Shard) -> str:
    """Changes with the images, with the form and with the code.

    Files are told by path, size and time; unpacked ones by name and what they were unpacked from.
    """
    code = [PIL.__version__, *(sha256_file(Path(file)) for file in (decode.__file__, __file__))]
    digest = hashlib.sha256(json.dumps([code, astuple(shard.form)]).encode())
    for image in shard.images:
        content: Any = image.content
        if image.version is not None and isinstance(content, Path):
            content = image.version
        elif isinstance(content, Path):
            facts = None
            with suppress(OSError):  # missing, not ours to read, no name for a file: told later
                facts = (content.stat().st_size, content.stat().st_mtime_ns)
            content = [str(content), facts]
        elif isinstance(content, bytes):
            content = hashlib.sha256(content).hexdigest()
        named = [image.name, image.class_name, image.group, image.split]
        digest.update(repr([named, content]).encode())
    return digest.hexdigest()


def _read_one(image: SourceImage, form: Form) -> tuple[str, str, bytes]:
    """(image_id, thumbnail in hexadecimal, PNG), or (reason, detail, nothing)."""
    if isinstance(image.content, Refused):
        return image.content.reason, image.content.detail, b""
    try:
        pixels = decode_image(image.content, form)
    except UnusableImage as unusable:
        return unusable.reason, unusable.detail, b""
    if pixels.min() == pixels.max():
        return "constant", f"every pixel is {pixels.flat[0]}", b""
    return pixel_id(pixels), thumbnail(pixels).hex(), encode_png(pixels)


def thumbnail(pixels: Pixels) -> bytes:
    """[H, W, C] uint8, H = W a multiple of 16 -> 16 x 16 x C, rounded."""
    return bytes(np.rint(shrink(pixels[None])).astype(np.uint8))


def _outcomes(
    shard: _Shard, rows: Iterable[tuple[str, str, int]]
) -> Iterator[Candidate | Rejection]:
    start = 0
    for image, (first, second, length) in zip(shard.images, rows, strict=True):
        if not length:
            yield Rejection(image.name, first, second)
            continue
        yield Candidate(
            name=image.name,
            class_name=image.class_name,
            group=image.group,
            split=image.split,
            image_id=first,
            thumbnail=bytes.fromhex(second),
            png=Span(shard.path, start, length),
        )
        start += length
