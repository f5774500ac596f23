"""Ship the synthetic images or not: the never-harm rule, and one plain sentence about it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

SHIP, REAL_ONLY = "ship", "ship_real_only"
# GAN + classical against classical, and against class-balanced classical
DECISIVE = ("D-B", "D-B'")
MAIN, SECOND = "cnn", "linear"
WORDS = {MAIN: "a small CNN", SECOND: "a linear classifier on ImageNet features"}
# Of the real images' own precision. Noise has 0; a GAN that no one would ship had 0.9 of it.
LEAST_PRECISION = 0.25

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
                f"Ship when, on the test images and with both classifiers ({WORDS[MAIN]} and "
                f"{WORDS[SECOND]}), the lower bounds of D-B and D-B' in macro-F1 lie above "
                f"-{self.harm_pp:g} pp and no class's mean recall falls by more than "
                f"{self.recall_pp:g} pp from B to D; val prefers some synthetic images to none; "
                "every class that was asked for has some; they lie where real images do; and no "
                "copying of training images shows. An uplift is called one only when its lower "
                "bounds lie above zero with both."
            ),
            "harm_margin_pp": self.harm_pp,
            "recall_margin_pp": self.recall_pp,
            "confidence": self.confidence,
        }


@dataclass(frozen=True)
class Evidence:
    """What is known about the synthetic images.

    Args:
        deltas: by network, of `DECISIVE` arms on test.
        recall_change_pp: by network and class, mean recall of D minus that of B on test.
        memorisation: results of `measure_memorisation` by feature space; empty without synthetic
            images.
        precision: by class, 0..1 of the synthetic images and, as the floor, of other real ones;
            None where a class is too small to tell.
        ratio: synthetic images per real one that did best on val.
        empty: classes for which images were wanted and none was accepted.
        num_synthetic: images offered.
    """

    deltas: Mapping[str, Mapping[str, Delta]]
    recall_change_pp: Mapping[str, Mapping[str, float]]
    memorisation: Mapping[str, Mapping[str, Any]]
    precision: Mapping[str, tuple[float | None, float | None]]
    ratio: float
    empty: tuple[str, ...]
    num_synthetic: int


def decide(evidence: Evidence, margins: Margins) -> dict[str, Any]:
    """The decision with its sentence and reasons.

    Returns:
        decision, sentence, reasons, rule, memorisation; uplift and recall_change_pp of the small
        CNN, and the same two below "linear".
    """
    if evidence.num_synthetic:
        failures = [
            *_harm(evidence, margins),
            *_lost_recall(evidence, margins),
            *_copying(evidence),
            *_unreal(evidence),
            *_missing(evidence),
        ]
    else:
        failures = ["There are no synthetic images: none was accepted by the filter."]
    facts = {
        network: {
            "uplift": {arms: dict(evidence.deltas[network][arms]) for arms in DECISIVE},
            "recall_change_pp": dict(evidence.recall_change_pp[network]),
        }
        for network in WORDS
    }
    return {
        "decision": REAL_ONLY if failures else SHIP,
        "sentence": _sentence(evidence, margins, num_failures=len(failures)),
        "reasons": failures or _assurances(evidence),
        "rule": margins.as_rule(),
        **facts[MAIN],
        SECOND: facts[SECOND],
        "memorisation": _summary(evidence.memorisation),
    }


def _harm(evidence: Evidence, margins: Margins) -> list[str]:
    return [
        f"{arms} with {words}: the change of macro-F1 may be as low as {low:+.1f} pp; "
        f"above -{margins.harm_pp:g} pp is demanded."
        for network, words in WORDS.items()
        for arms in DECISIVE
        if not (low := evidence.deltas[network][arms]["low_pp"]) > -margins.harm_pp
    ]


def _lost_recall(evidence: Evidence, margins: Margins) -> list[str]:
    return [
        f"Class {name} with {words}: recall changes by {change:+.1f} pp; at most "
        f"-{margins.recall_pp:g} pp is tolerated."
        for network, words in WORDS.items()
        for name, change in evidence.recall_change_pp[network].items()
        if change < -margins.recall_pp
    ]


def _copying(evidence: Evidence) -> list[str]:
    return [
        f"Copies of training images show in the space of {space}: {m['near_copies']:.1%} near "
        f"copies (real images among themselves {m['near_copies_real']:.1%}), {m['authentic']:.1%} "
        f"authentic (real images {m['authentic_real']:.1%})."
        for space, m in evidence.memorisation.items()
        if not m["passed"]
    ]


def _unreal(evidence: Evidence) -> list[str]:
    return [
        f"Class {name} does not look like its real images: {made:.1%} lie where these do, against "
        f"{floor:.1%} of other real images."
        for name, (made, floor) in evidence.precision.items()
        if made is not None and floor is not None and made < LEAST_PRECISION * floor
    ]


def _missing(evidence: Evidence) -> list[str]:
    preferred = (
        [] if evidence.ratio else ["On val, no share of synthetic images did better than none."]
    )
    return preferred + [
        f"Class {name}: images were asked for, and none was accepted." for name in evidence.empty
    ]


def _sentence(evidence: Evidence, margins: Margins, *, num_failures: int) -> str:
    """What a busy reader should know."""
    if not evidence.num_synthetic:
        return "There are no synthetic images to ship; the real images go out unchanged."
    images = f"{evidence.num_synthetic:,} synthetic images"
    main, second = (evidence.deltas[network][DECISIVE[0]] for network in (MAIN, SECOND))
    change = (
        f"by {main['mean_pp']:+.1f} pp ({margins.confidence:.0%} interval "
        f"{main['low_pp']:+.1f} to {main['high_pp']:+.1f}) over classical augmentation with "
        f"{WORDS[MAIN]}, and by {second['mean_pp']:+.1f} pp ({second['low_pp']:+.1f} to "
        f"{second['high_pp']:+.1f}) with {WORDS[SECOND]}"
    )
    if num_failures:
        return f"Adding {images} changes macro-F1 {change}; the rule for shipping them is not met."
    if not _rises(evidence, DECISIVE[0]):
        return (
            f"No measurable difference that both classifiers show: {images} change macro-F1 "
            f"{change}, and harm beyond the margins is ruled out."
        )
    against_balanced = (
        "and it holds against class-balanced sampling too"
        if _rises(evidence, DECISIVE[1])
        else "but no measurable difference against class-balanced sampling"
    )
    return f"{images} raise macro-F1 {change}, {against_balanced}."


def _rises(evidence: Evidence, arms: str) -> bool:
    """Whether every classifier gains; asking it of all needs no correction for their number."""
    return all(evidence.deltas[network][arms]["low_pp"] > 0 for network in WORDS)


def _assurances(evidence: Evidence) -> list[str]:
    """Why it may be shipped."""
    bounds = (
        f"{arms} with {words} at {evidence.deltas[network][arms]['low_pp']:+.1f} pp"
        for network, words in WORDS.items()
        for arms in DECISIVE
    )
    change, name = min(
        (change, name)
        for changes in evidence.recall_change_pp.values()
        for name, change in changes.items()
    )
    return [
        f"Lower bounds of the change of macro-F1: {', '.join(bounds)}.",
        f"Recall changes least favourably for class {name}: {change:+.1f} pp.",
        "No copying of training images shows.",
    ]


def _summary(memorisation: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """The gate's main figures, flat."""
    shown = ("near_copies", "near_copies_real", "authentic", "authentic_real", "closer_to_train")
    flat = {f"{key}_{space}": m[key] for space, m in memorisation.items() for key in shown}
    return {"passed": all(m["passed"] for m in memorisation.values()), **flat}
