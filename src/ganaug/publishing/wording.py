"""Wording of results, shared by the card, the report and the terminal.

It imports none of them, so a change of the card does not run the report again.
"""

from collections.abc import Mapping
from typing import Any

HEADLINES = {
    "ship": "Ship",
    "ship_real_only": "Ship the real images only",
    "undecided": "Undecided: ship the real images",
}


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
