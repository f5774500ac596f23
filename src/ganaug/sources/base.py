"""What every source gives: facts about a dataset, and its images one by one, still encoded."""

from collections.abc import Iterable
from dataclasses import dataclass
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

from ganaug.errors import SourceError


@dataclass(frozen=True)
class SourceFacts:
    """What is known of a dataset before any image is read."""

    name: str
    version: str  # of the package or the archive that holds the images
    license: str  # SPDX identifier where there is one
    citation: str
    homepage: str
    classes: tuple[str, ...]  # fixed order; `label` indexes it
    symmetries: tuple[str, ...]  # flips that keep every label: of "hflip", "vflip"


@dataclass(frozen=True)
class Refused:
    """Why an image that the source lists can't be read."""

    reason: str  # a fixed word
    detail: str  # for people


@dataclass(frozen=True)
class SourceImage:
    """One image as it lies in the source."""

    name: str  # unique in the source and stable; named when the image is rejected
    class_name: str
    group: str | None  # one group, one split; None: the image is a group of its own
    split: str | None  # train | val | test where the source gives it; None: `prepare` draws it
    content: bytes | Path | Refused  # an encoded image file, or where it lies
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
