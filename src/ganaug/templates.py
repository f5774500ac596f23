"""Fill jinja2 templates: pages, cards and texts for a terminal."""

import base64
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined


def points(value: float | None) -> str:
    """Percentage points with their sign: 1.24 becomes "+1.2", None "?"."""
    return "?" if value is None else f"{value:+.1f}"


def interval(delta: Mapping[str, Any]) -> str:
    """Bounds in percentage points: "[-0.2, +2.2]"."""
    return f"[{points(delta['low_pp'])}, {points(delta['high_pp'])}]"


def data_uri(png: bytes) -> str:
    """A picture inside the page that shows it."""
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"


def markdown_text(value: str) -> str:
    """Escape text for a cell of a Markdown table, on one line."""
    return re.sub(r"([\\`*_|\[\]<>])", r"\\\1", " ".join(value.split()))


def render(path: Path, **facts: Any) -> str:
    """Fill a template with facts, escaped for HTML in a .html; a missing fact is an error.

    Its filters are `points`, `interval`, `uri` of a PNG, and `text`, which escapes for Markdown.
    """
    environment = Environment(
        loader=FileSystemLoader(path.parent),
        undefined=StrictUndefined,
        autoescape=".html" in path.suffixes,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {"points": points, "interval": interval}
    environment.filters |= {"text": markdown_text, "uri": data_uri}
    return environment.get_template(path.name).render(facts)
