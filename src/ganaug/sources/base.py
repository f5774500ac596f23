"""What a source provides: facts about a dataset, and its encoded images one by one."""

import importlib.metadata
import importlib.util
from collections.abc import Iterable
from dataclasses import dataclass
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


@dataclass(frozen=True)
class Refused:
    """Why an image that the source lists can't be read."""

    reason: str  # a fixed word
    detail: str  # for people


@dataclass(frozen=True)
class SourceImage:
    """One image as it lies in the source."""

    name: str  # unique and stable; names the image if it is rejected
    class_name: str
    group: str | None  # images of a group stay in one split; None: a group of its own
    split: str | None  # train | val | test if the source gives it; None: `prepare` draws it
    content: bytes | Path | Refused  # an encoded image file, or its path
    version: str | None = None  # of the archive that held the file; its path and time are new


@dataclass(frozen=True)
class Source:
    """Facts and images; `images` is read once, in a stable order."""

    facts: SourceFacts
    images: Iterable[SourceImage]


def package_version(package: str) -> str:
    """Version of an installed distribution.

    Raises:
        SourceError: it is not installed.
    """
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        raise SourceError(_not_installed(package)) from None


def package_folder(module: str, *, package: str) -> Path:
    """Folder of an installed package, found without importing it.

    Raises:
        SourceError: it is not installed.
    """
    spec = importlib.util.find_spec(module)
    if spec is None or not spec.submodule_search_locations:
        raise SourceError(_not_installed(package))
    return Path(next(iter(spec.submodule_search_locations)))


def _not_installed(package: str) -> str:
    return f"the source needs the package {package}, which is missing: pip install {package}"
