"""Ship the synthetic images or not: the rule with three answers, and one plain sentence about it.

The answer of one classifier is `intervals.answer`. What the bounds of an interval must reach, and
how often the rule then errs, is simulated in benchmarks/verdict.py; docs/verdict.md has the tables.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ganaug.downstream.intervals import REAL_ONLY, SHIP, UNDECIDED, answer, groups_needed

# Of the real images' own precision. Noise has 0; a GAN that no one would ship had 0.9 of it.
LEAST_PRECISION = 0.25


@dataclass(frozen=True)
class Margins:
    """How much harm is tolerated."""

    # Percentage points of macro-F1. The lower bound may lie this far below zero. If the upper bound
    # is less than this far above zero, the answer is no.
    harm_pp: float
    recall_pp: float  # percentage points of recall that any class may be shown to lose
    confidence: float  # level of the intervals, 0..1

    def as_rule(self) -> dict[str, Any]:
        """The rule in words, with its numbers."""
        return {
            "text": (
                "For each classifier, the best recipe with synthetic images is compared with the "
                "best one without on the test images; val chooses both. Ship when val gives "
                "synthetic images to at least one classifier; when, for each of these, macro-F1 "
                f"rises on average, its lower bound lies above -{self.harm_pp:g} pp and no class "
                f"is shown to lose more than {self.recall_pp:g} pp of recall; when every class "
                "that was asked for has synthetic images; when they lie where real images do; and "
                "when no copying of training images shows, beyond the one that an image is "
                "declared to start from. The answer is no when an upper bound "
                f"lies below +{self.harm_pp:g} pp or one of the other conditions fails. Else it is "
                "undecided, and the real images go out. An uplift is called one only when its "
                "lower bound lies above zero."
            ),
            "harm_margin_pp": self.harm_pp,
            "recall_margin_pp": self.recall_pp,
            "confidence": self.confidence,
        }


@dataclass(frozen=True)
class Evidence:
    """What is known about the synthetic images.

    Args:
        networks: by network, what verdict.json says of it; see docs/verdict.md.
        memorisation: of `measure_copying`; empty without synthetic images.
        precision: by class, the share of images that lie among real ones (quality/distances.py),
            0..1 of the synthetic images and, as the floor, of other real ones; None where a class
            is too small to tell.
        empty: classes for which images were wanted and none was accepted.
        num_synthetic: images offered.
        num_with_parent: those that were built on training images.
        num_translated: of these, those that start from a whole training image of another class.
        sampled: by part, measured and all images, where there were too many to measure all.
    """

    networks: Mapping[str, Mapping[str, Any]]
    memorisation: Mapping[str, Mapping[str, Any]]
    precision: Mapping[str, tuple[float | None, float | None]]
    empty: tuple[str, ...]
    num_synthetic: int
    num_with_parent: int
    num_translated: int
    sampled: Mapping[str, tuple[int, int]] = field(default_factory=dict)

    @property
    def used(self) -> dict[str, Mapping[str, Any]]:
        """The networks to which val gives synthetic images."""
        return {net: facts for net, facts in self.networks.items() if facts["chosen_share"]}


def decide(evidence: Evidence, margins: Margins) -> dict[str, Any]:
    """The decision with its sentence and reasons.

    Returns:
        decision, sentence, reasons, refusals (the reasons that lie in the images themselves), rule,
        too_small (classes whose precision or recall could not be measured, so nothing is shown),
        classes_without_images, memorisation.
    """
    refusals = list[str]()
    if evidence.num_synthetic:
        missing = [
            f"Class {c}: images were asked for, and none was accepted." for c in evidence.empty
        ]
        refusals += [*_copying(evidence), *_unreal(evidence), *missing]
    against, open_ = _against(evidence, margins) + refusals, _open(evidence, margins)
    if against:
        decision, reasons = REAL_ONLY, against + open_
    elif open_:
        decision, reasons = UNDECIDED, open_
    else:
        decision, reasons = SHIP, _assurances(evidence)
    return {
        "decision": decision,
        "sentence": _sentence(evidence, margins, decision),
        "reasons": reasons + _remarks(evidence),
        "refusals": refusals,
        "rule": margins.as_rule(),
        "too_small": _too_small(evidence),
        "classes_without_images": list(evidence.empty),
        "memorisation": _summary(evidence.memorisation),
    }


def _too_small(evidence: Evidence) -> list[str]:
    """Classes with too few test images or groups to tell."""
    if not evidence.num_synthetic:
        return []
    unknown = {
        name
        for facts in evidence.used.values()
        for name, change in facts["recall_change_pp"].items()
        if change["high_pp"] is None
    }
    return [
        name for name, measured in evidence.precision.items() if None in measured or name in unknown
    ]


def _against(evidence: Evidence, margins: Margins) -> list[str]:
    """Reasons against shipping that would stay with more test images."""
    if not evidence.num_synthetic:
        return ["There are no synthetic images: none was accepted by the filter."]
    reasons = []
    if not evidence.used:
        reasons.append("On val, no classifier did better with synthetic images than without.")
    for facts in evidence.used.values():
        if answer(facts["uplift"], margin_pp=margins.harm_pp) == REAL_ONLY:
            reasons.append(
                f"With {facts['words']} the change of macro-F1 is at best "
                f"{facts['uplift']['high_pp']:+.1f} pp."
            )
        reasons += [
            f"Class {name} with {facts['words']}: recall changes by {change['mean_pp']:+.1f} pp "
            f"({change['low_pp']:+.1f} to {change['high_pp']:+.1f}); a loss of more than "
            f"{margins.recall_pp:g} pp is shown."
            for name, change in facts["recall_change_pp"].items()
            if change["high_pp"] is not None and change["high_pp"] < -margins.recall_pp
        ]
    return reasons


def _open(evidence: Evidence, margins: Margins) -> list[str]:
    """Questions that the test images are too few to answer."""
    reasons = []
    for facts in evidence.used.values():
        delta = facts["uplift"]
        if answer(delta, margin_pp=margins.harm_pp) != UNDECIDED:
            continue
        needed = groups_needed(delta, half_width_pp=max(abs(delta["mean_pp"]), margins.harm_pp))
        told = "more repetitions would tell more"
        if needed:
            told = f"about {needed:,} test groups would tell"
        reasons.append(
            f"With {facts['words']} the change of macro-F1 may be as low as "
            f"{delta['low_pp']:+.1f} pp and as high as {delta['high_pp']:+.1f} pp; above "
            f"-{margins.harm_pp:g} pp is demanded. {delta['num_groups']} test groups and "
            f"{delta['num_repetitions']} repetitions are too few to tell; {told}."
        )
    return reasons


def _copying(evidence: Evidence) -> list[str]:
    return [
        f"Copies of training images show, or can't be ruled out, in the space of {space}: "
        + "; ".join(f"{key.replace('_', ' ')} {value:.1%}" for key, value in _shares(found))
        + "."
        for space, found in evidence.memorisation.items()
        if not found["passed"]
    ]


def _shares(found: Mapping[str, Any]) -> list[tuple[str, float]]:
    """The shares of images that a space of the gate is judged by, each beside that of real ones."""
    names = ("near_copies", "authentic", "with_fragment")
    keys = [key for name in names for key in (name, f"{name}_real")]
    return [(key, found[key]) for key in keys if key in found]


def _unreal(evidence: Evidence) -> list[str]:
    return [
        f"Class {name} does not look like its real images: {synthetic:.1%} lie where these do, "
        f"against {floor:.1%} of other real images."
        for name, (synthetic, floor) in evidence.precision.items()
        if synthetic is not None and floor is not None and synthetic < LEAST_PRECISION * floor
    ]


def _sentence(evidence: Evidence, margins: Margins, decision: str) -> str:
    """What a busy reader should know."""
    if not evidence.num_synthetic:
        return "There are no synthetic images to ship; the real images go out unchanged."
    changes = [
        f"{delta['mean_pp']:+.1f} pp ({delta['low_pp']:+.1f} to {delta['high_pp']:+.1f}) with "
        f"{facts['words']}"
        for facts in evidence.networks.values()
        if (delta := facts["uplift"])
    ]
    measured = (
        f"{evidence.num_synthetic:,} synthetic images change macro-F1 on the test images by "
        f"{', and by '.join(changes)}, best recipe with them against best without "
        f"({margins.confidence:.0%} intervals over test groups and repeated trainings; another "
        "split or another GAN may differ)"
    )
    if decision == UNDECIDED:
        return f"Too few test images or groups to tell: {measured}."
    if decision == REAL_ONLY:
        return f"The rule for shipping is not met: {measured}."
    if all(facts["uplift"]["low_pp"] > 0 for facts in evidence.used.values()):
        return f"The synthetic images help: {measured}."
    return f"No harm and no sure gain: {measured}."


def _assurances(evidence: Evidence) -> list[str]:
    """Why they may be shipped, and what remains unknown."""
    too_small = ", ".join(_too_small(evidence))
    origins = ", beyond those that images are declared to start from"
    drawn = " among those drawn for the verdict" if "train" in evidence.sampled else ""
    return [
        *(
            f"With {facts['words']} the lower bound of the change of macro-F1 is "
            f"{facts['uplift']['low_pp']:+.1f} pp."
            for facts in evidence.used.values()
        ),
        "No class is shown to lose recall beyond the margin.",
        f"No copying of training images{drawn} shows{origins if evidence.num_translated else ''}.",
        *([f"Too few test images or groups to tell of: {too_small}."] if too_small else []),
    ]


def _remarks(evidence: Evidence) -> list[str]:
    """What a reader should know whatever was decided."""
    remarks = [
        f"For {facts['words']} val chose no synthetic images; its figure is that of the best "
        "recipe with them."
        for net, facts in evidence.networks.items()
        if evidence.used and net not in evidence.used and facts["uplift"]
    ]
    remarks += [
        f"Of the {every:,} {name} images, {measured:,} were drawn for the verdict."
        for name, (measured, every) in evidence.sampled.items()
    ]
    if evidence.num_translated:
        remarks.append(
            f"{evidence.num_translated:,} of the synthetic images were made from a training image "
            "of another class each, the first that parent_id names; parts of it are meant to stay, "
            "so being like that image does not count as copying. Most also hold a detail of a "
            "training image of their class, the second one named."
        )
    elif evidence.num_with_parent:
        remarks.append(
            f"{evidence.num_with_parent:,} of the synthetic images were built on a detail of one "
            "training image each, which parent_id names; what such a detail repeats is measured as "
            "fragments."
        )
    return remarks


def _summary(memorisation: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """The gate's main figures, flat."""
    spaces = memorisation.items()
    flat = {f"{key}_{space}": value for space, m in spaces for key, value in _shares(m)}
    return {"passed": all(m["passed"] for _, m in spaces), **flat}
