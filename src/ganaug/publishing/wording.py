"""Wording of results, shared by the card, the report and the terminal.

It imports none of them, so a change of the card does not run the report again.
"""

from collections.abc import Mapping
from typing import Any

from ganaug.templates import interval, points

HEADLINES = {
    "ship": "Ship",
    "ship_real_only": "Ship the real images only",
    "undecided": "Undecided: ship the real images",
}


def study_rows(title: str, study: Mapping[str, Any]) -> list[dict[str, str]]:
    """A row for each classifier, its cells by their heads.

    Args:
        title: what the data are.
        study: folds, the `folds.findings` of each; networks, what they say together, as in
            verdict.json; decision: ship | ship_real_only | undecided.
    """
    folds = study["folds"]
    numbers = [sum(fold["num_real"]["train"].values()) for fold in folds]
    few, many = (f"{number:,}" for number in (min(numbers), max(numbers)))
    return [
        {
            "data": title,
            "real training images": few if few == many else f"{few} to {many}",
            "folds": str(len(folds)),
            "classifier": without_article(facts["words"]),
            "best without synthetic images, over plain training": change_cell(facts["plain_gain"]),
            "best with them, over best without": change_cell(facts["uplift"]),
            "verdict": HEADLINES[study["decision"]],
        }
        for facts in study["networks"].values()
    ]


def change_cell(delta: Mapping[str, Any] | None) -> str:
    """A change in percentage points with its interval, for a table."""
    return f"{points(delta['mean_pp'])} {interval(delta)}" if delta else "none made"


def without_article(words: str) -> str:
    """Turn "a small CNN" into "small CNN"."""
    return words.removeprefix("a ").removeprefix("an ")
