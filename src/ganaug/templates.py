"""Fill jinja2 templates: pages, cards and texts for a terminal."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined


def render(path: Path, facts: Mapping[str, Any], filters: Mapping[str, Callable[..., str]]) -> str:
    """Fill a template with facts, escaped for HTML in a .html; a missing fact is an error."""
    environment = Environment(
        loader=FileSystemLoader(path.parent),
        undefined=StrictUndefined,
        autoescape=".html" in path.suffixes,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= filters
    return environment.get_template(path.name).render(facts)
