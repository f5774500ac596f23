"""Wording of results, shared by the card, the report and the terminal.

It imports none of them, so a change of the card does not run the report again.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ganaug.templates import render

HEADLINES = {
    "ship": "Ship",
    "ship_real_only": "Ship the real images only",
    "undecided": "Undecided: ship the real images",
}


def points(value: float | None) -> str:
    """Percentage points with their sign: 1.24 becomes "+1.2", None "?"."""
    return "?" if value is None else f"{value:+.1f}"


def interval(delta: Mapping[str, Any]) -> str:
    """Bounds in percentage points: "[-0.2, +2.2]"."""
    return f"[{points(delta['low_pp'])}, {points(delta['high_pp'])}]"


def answers(verdict: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The two answers of a verdict, a row for each network.

    Returns:
        Rows of
        - network: "small CNN"
        - without: the best recipe without synthetic images, in words
        - plain_gain: its gain over plain training: mean_pp, low_pp, high_pp
        - with: the best recipe with synthetic images, in words; None if there are none
        - uplift: what they add: mean_pp, low_pp, high_pp; None if there are none
        - recall_change_pp: the same for each class's recall, by class; None if there are none
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


def markdown_text(value: str) -> str:
    """Escape text for a cell of a Markdown table, on one line."""
    return re.sub(r"([\\`*_|\[\]<>])", r"\\\1", " ".join(value.split()))


def render_template(path: Path, **facts: Any) -> str:
    """As `templates.render`, with the filters `points`, `interval` and `text`."""
    return render(path, facts, {"points": points, "interval": interval, "text": markdown_text})
