"""How results are put into words, shared by the card, the report and the terminal; it knows none.

Nothing here may depend on them: the report must not be made again because the card has changed.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

HEADLINES = {
    "ship": "Ship",
    "ship_real_only": "Ship the real images only",
    "undecided": "Undecided: ship the real images",
}


def points(value: float | None) -> str:
    """Percentage points with their sign: 1.24 becomes "+1.2", what is not known "?"."""
    return "?" if value is None else f"{value:+.1f}"


def interval(delta: Mapping[str, Any]) -> str:
    """Bounds in percentage points: "[-0.2, +2.2]"."""
    return f"[{points(delta['low_pp'])}, {points(delta['high_pp'])}]"


def answers(verdict: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The two answers of a verdict, a row for each network.

    Returns:
        Rows of
        - network: "small CNN"
        - without: in words, the recipe that did best without synthetic images
        - plain_gain: mean_pp, low_pp and high_pp of what it gains over plain training
        - with: in words, the recipe that did best with them, None where there are none
        - uplift: the same of what they add to it, None where there are none
        - recall_change_pp: the same of each class's recall, by class, None where there are none
    """
    return [
        {
            "network": facts["words"].removeprefix("a ").removeprefix("an "),
            "without": facts["without"]["words"],
            "plain_gain": facts["plain_gain"],
            "with": facts["with"]["words"] if facts["with"] else None,
            "uplift": facts["uplift"],
            "recall_change_pp": facts["recall_change_pp"],
        }
        for facts in verdict["networks"].values()
    ]


def template_environment(folder: Path, *, escape: bool) -> Environment:
    """A jinja2 environment for the templates beside a module; a missing fact is an error."""
    environment = Environment(
        loader=FileSystemLoader(folder),
        undefined=StrictUndefined,
        autoescape=escape,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {"points": points, "interval": interval}
    return environment
