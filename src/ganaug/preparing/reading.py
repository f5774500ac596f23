"""Read every image of a source, in threads, in the source's order; nothing is dropped silently."""

import sys
from collections.abc import Iterable

import joblib
from rich.console import Console
from rich.progress import track

from ganaug.errors import SourceError
from ganaug.images import encode_png, pixel_id
from ganaug.preparing.checks import Candidate, Rejection
from ganaug.preparing.decode import UnusableImage, decode_image
from ganaug.sources.base import SourceImage


def read_candidates(
    images: Iterable[SourceImage], *, resolution: int, channels: int, num_workers: int = -1
) -> tuple[list[Candidate], list[Rejection]]:
    """Decode every image, in the source's order; a bar shows on a terminal.

    Raises:
        SourceError: two images of the source have one name.
    """
    parallel = joblib.Parallel(n_jobs=num_workers, prefer="threads", return_as="generator")
    results = parallel(
        joblib.delayed(_read_one)(image, resolution=resolution, channels=channels)
        for image in _require_unique_names(images)
    )
    shown = track(
        results,
        description="prepare: images",
        console=Console(stderr=True),
        transient=True,
        disable=not sys.stderr.isatty(),
    )
    candidates, rejections = list[Candidate](), list[Rejection]()
    for result in shown:
        if isinstance(result, Candidate):
            candidates.append(result)
        else:
            rejections.append(result)
    return candidates, rejections


def _read_one(image: SourceImage, *, resolution: int, channels: int) -> Candidate | Rejection:
    try:
        pixels = decode_image(image.content, resolution=resolution, channels=channels)
    except UnusableImage as unusable:
        return Rejection(image.name, unusable.reason, unusable.detail)
    if pixels.min() == pixels.max():
        return Rejection(image.name, "constant", f"every pixel is {pixels.flat[0]}")
    return Candidate(
        name=image.name,
        class_name=image.class_name,
        group=image.group,
        split=image.split,
        image_id=pixel_id(pixels),
        png=encode_png(pixels),
    )


def _require_unique_names(images: Iterable[SourceImage]) -> Iterable[SourceImage]:
    seen: set[str] = set()
    for image in images:
        if image.name in seen:
            raise SourceError(f"the source has two images named {image.name!r}; rename one")
        seen.add(image.name)
        yield image
