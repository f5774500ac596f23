"""How results are put into words, shared by the card and the report; it knows neither.

The report is written by `evaluate`, which must not run again because the card has changed.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

# Differences between the arms of `evaluate`; the first two decide.
COMPARISONS = {
    "D-B": "synthetic images added to classical augmentation",
    "D-B'": "the same, against class-balanced classical augmentation",
    "B-A": "classical augmentation added to real images",
    "C-A": "synthetic images added to real images",
    "E-A": "synthetic images with classical augmentation in place of real images",
}


def points(value: float) -> str:
    """Percentage points with their sign: 1.24 becomes "+1.2"."""
    return f"{value:+.1f}"


def uplift_rows(verdict: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The comparisons that decide, with their words."""
    return [
        {"arms": arms, "words": COMPARISONS[arms], **delta}
        for arms, delta in verdict["uplift"].items()
    ]


def template_environment(folder: Path, *, escape: bool) -> Environment:
    """A jinja2 environment for the templates beside a module; a missing fact is an error."""
    return Environment(
        loader=FileSystemLoader(folder),
        undefined=StrictUndefined,
        autoescape=escape,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
