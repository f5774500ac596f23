"""Ship the synthetic images or not: the never-harm rule, and one plain sentence about it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

SHIP, REAL_ONLY = "ship", "ship_real_only"
DECISIVE = (
    "D-B",
    "D-B'",
)  # GAN + classical against classical, and against class-balanced classical

Delta = Mapping[str, Any]  # of `paired_delta`


@dataclass(frozen=True)
class Margins:
    """How much harm is tolerated."""

    harm_pp: float  # percentage points of macro-F1 that a lower bound may lie below zero
    recall_pp: float  # percentage points of recall that any class may lose
    confidence: float  # level of the intervals, 0..1

    def as_rule(self) -> dict[str, Any]:
        """The rule in words, with its numbers."""
        return {
            "text": (
                f"Ship when, on the test images, the lower bounds of D-B and D-B' in macro-F1 lie "
                f"above -{self.harm_pp:g} pp, no class's mean recall falls by more than "
                f"{self.recall_pp:g} pp from B to D, and no copying of training images shows. An "
                "uplift is called one only when its lower bound lies above zero."
            ),
            "harm_margin_pp": self.harm_pp,
            "recall_margin_pp": self.recall_pp,
            "confidence": self.confidence,
        }


def decide(
    deltas: Mapping[str, Delta],
    recall_change_pp: Mapping[str, float],
    memorisation: Mapping[str, Mapping[str, Any]],
    *,
    margins: Margins,
    num_synthetic: int,
) -> dict[str, Any]:
    """The decision with its sentence and reasons.

    Args:
        deltas: of `DECISIVE` arms on test.
        recall_change_pp: mean recall of D minus that of B on test, by class.
        memorisation: results of `measure_memorisation` by feature space; empty without synthetic
            images.
        margins: of the rule.
        num_synthetic: synthetic images offered.
    Returns:
        decision, sentence, reasons, rule, uplift, recall_change_pp, memorisation.
    """
    failures = (
        [*_harm(deltas, margins), *_lost_recall(recall_change_pp, margins), *_copying(memorisation)]
        if num_synthetic
        else ["There are no synthetic images: none was accepted by the filter."]
    )
    return {
        "decision": REAL_ONLY if failures else SHIP,
        "sentence": _sentence(deltas, margins, num_synthetic, num_failures=len(failures)),
        "reasons": failures or _assurances(deltas, recall_change_pp),
        "rule": margins.as_rule(),
        "uplift": {arms: dict(deltas[arms]) for arms in DECISIVE},
        "recall_change_pp": dict(recall_change_pp),
        "memorisation": _summary(memorisation),
    }


def _harm(deltas: Mapping[str, Delta], margins: Margins) -> list[str]:
    return [
        f"{arms}: the change of macro-F1 may be as low as {deltas[arms]['low_pp']:+.1f} pp; "
        f"above -{margins.harm_pp:g} pp is demanded."
        for arms in DECISIVE
        if deltas[arms]["low_pp"] <= -margins.harm_pp
    ]


def _lost_recall(recall_change_pp: Mapping[str, float], margins: Margins) -> list[str]:
    return [
        f"Class {name}: recall changes by {change:+.1f} pp; at most -{margins.recall_pp:g} pp is "
        "tolerated."
        for name, change in recall_change_pp.items()
        if change < -margins.recall_pp
    ]


def _copying(memorisation: Mapping[str, Mapping[str, Any]]) -> list[str]:
    return [
        f"Copies of training images show in the space of {space}: {m['near_copies']:.1%} near "
        f"copies (real images among themselves {m['near_copies_real']:.1%}), {m['authentic']:.1%} "
        f"authentic (real images {m['authentic_real']:.1%})."
        for space, m in memorisation.items()
        if not m["passed"]
    ]


def _sentence(
    deltas: Mapping[str, Delta], margins: Margins, num_synthetic: int, *, num_failures: int
) -> str:
    """What a busy reader should know."""
    if not num_synthetic:
        return "There are no synthetic images to ship; the real images go out unchanged."
    plain, balanced = (deltas[arms] for arms in DECISIVE)
    interval = (
        f"{margins.confidence:.0%} interval {plain['low_pp']:+.1f} to {plain['high_pp']:+.1f}"
    )
    change = f"by {plain['mean_pp']:+.1f} pp ({interval}) over classical augmentation"
    if num_failures:
        return (
            f"Adding {num_synthetic:,} synthetic images changes macro-F1 {change}; the rule "
            "for shipping them is not met."
        )
    if plain["low_pp"] <= 0:
        return (
            f"No measurable difference: {num_synthetic:,} synthetic images change macro-F1 "
            f"{change}, and harm beyond the margins is ruled out."
        )
    against_balanced = (
        "and it holds against class-balanced sampling too"
        if balanced["low_pp"] > 0
        else "but no measurable difference against class-balanced sampling"
    )
    return f"{num_synthetic:,} synthetic images raise macro-F1 {change}, {against_balanced}."


def _assurances(deltas: Mapping[str, Delta], recall_change_pp: Mapping[str, float]) -> list[str]:
    """Why it may be shipped."""
    bounds = " and ".join(f"{arms} at {deltas[arms]['low_pp']:+.1f} pp" for arms in DECISIVE)
    name = min(recall_change_pp, key=lambda c: recall_change_pp[c])
    return [
        f"Lower bounds of the change of macro-F1: {bounds}.",
        f"Recall changes least favourably for class {name}: {recall_change_pp[name]:+.1f} pp.",
        "No copying of training images shows.",
    ]


def _summary(memorisation: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """The gate's main figures, flat."""
    shown = ("near_copies", "near_copies_real", "authentic", "authentic_real", "closer_to_train")
    flat = {f"{key}_{space}": m[key] for space, m in memorisation.items() for key in shown}
    return {"passed": all(m["passed"] for m in memorisation.values()), **flat}
