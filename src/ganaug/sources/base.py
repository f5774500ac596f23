"""What a source provides: facts about a dataset, and its encoded images one by one."""

from collections.abc import Iterable
from dataclasses import dataclass
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from typing import Any

from ganaug.errors import SourceError
from ganaug.sources.remote import Place

MOST_BYTES = 2**29  # of a file, read before anything is known of it


@dataclass(frozen=True)
class SourceFacts:
    """Facts about a dataset, known before an image is read."""

    name: str
    version: str  # of the package or the archive that holds the images
    license: str  # SPDX identifier where there is one
    citation: str
    homepage: str
    classes: tuple[str, ...]  # fixed order; `label` indexes it
    symmetries: tuple[str, ...]  # flips that keep every label: of "hflip", "vflip"
    people: bool = False  # whether they show people, as the user declares


class UnusableImage(Exception):
    """An image that can't be used: `reason` is a short fixed word, `detail` is for people."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(reason, detail)
        self.reason, self.detail = reason, detail

    def __str__(self) -> str:
        return self.detail


def refuse_size(size: int) -> UnusableImage | None:
    """Why a file of so many bytes is not read, if it is not."""
    if size > MOST_BYTES:
        return UnusableImage("too_large", f"a file of {size} bytes; at most {MOST_BYTES}")
    return None if size else UnusableImage("unreadable", "the file is empty")


@dataclass(frozen=True)
class SourceImage:
    """One image as it lies in the source."""

    name: str  # unique and stable; names the image if it is rejected
    class_name: str
    group: str | None  # images of a group stay in one split; None: a group of its own
    split: str | None  # train | val | test if the source gives it; None: `prepare` draws it
    content: bytes | Place | UnusableImage  # a file, its path, or why it is refused
    version: str | None = None  # of a file at a URL, or of the archive that held it
    num_bytes: int = 0  # of a file at a URL, if known


@dataclass(frozen=True)
class Source:
    """Facts and images; `images` is read once, in a stable order."""

    facts: SourceFacts
    images: Iterable[SourceImage]
    remote: dict[str, Any] | None = None  # files at a URL: where, how many, and their versions


def installed(package: str) -> Distribution:
    """A package that holds a dataset: its version, and the place of its files.

    Raises:
        SourceError: it is not installed.
    """
    try:
        return distribution(package)
    except PackageNotFoundError:
        raise SourceError(
            f"the source needs the package {package}, which is missing: pip install {package}"
        ) from None
