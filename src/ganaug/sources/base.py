"""What a source provides: facts about a dataset, and its encoded images one by one."""

from collections.abc import Iterable
from dataclasses import dataclass
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

from ganaug.errors import SourceError


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


@dataclass(frozen=True)
class SourceImage:
    """One image as it lies in the source."""

    name: str  # unique and stable; names the image if it is rejected
    class_name: str
    group: str | None  # images of a group stay in one split; None: a group of its own
    split: str | None  # train | val | test if the source gives it; None: `prepare` draws it
    content: bytes | Path | UnusableImage  # an encoded file, its path, or why it is refused
    version: str | None = None  # of the archive that held the file; its path and time are new


@dataclass(frozen=True)
class Source:
    """Facts and images; `images` is read once, in a stable order."""

    facts: SourceFacts
    images: Iterable[SourceImage]


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
