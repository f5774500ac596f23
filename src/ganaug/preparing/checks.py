"""Checks across all decoded images: each rejects images, with the reason.

To add a check, write a function from candidates to rejections and list it in `CHECKS`.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ganaug.fileio import Span


@dataclass(frozen=True, slots=True)
class Candidate:
    """A decoded image that may enter the dataset."""

    name: str  # as in the source
    class_name: str
    group: str | None
    split: str | None
    image_id: str  # equal exactly when the pixels are equal
    thumbnail: bytes  # 16 x 16 px, to compare with others
    png: Span


@dataclass(frozen=True)
class Rejection:
    """An image that is left out, and why."""

    file: str  # name as in the source
    reason: str  # a fixed word, say unreadable or duplicate
    detail: str  # for people


Check = Callable[[Sequence[Candidate]], list[Rejection]]


def label_conflicts(candidates: Sequence[Candidate]) -> list[Rejection]:
    """Reject equal pixels in two classes: nobody knows which label is right."""
    rejections = []
    for twins in _by_pixels(candidates):
        classes = sorted({twin.class_name for twin in twins})
        if len(classes) > 1:
            for twin in twins:
                other = next(t for t in twins if t.class_name != twin.class_name)
                detail = f"same pixels as {other.name} of class {other.class_name}"
                rejections.append(Rejection(twin.name, "label_conflict", detail))
    return rejections


def duplicates(candidates: Sequence[Candidate]) -> list[Rejection]:
    """Reject equal pixels within a class; keep the first in the source's order."""
    return [
        Rejection(twin.name, "duplicate", f"same pixels as {first.name}")
        for first, *later in _by_pixels(candidates)
        for twin in later
    ]


CHECKS: tuple[Check, ...] = (label_conflicts, duplicates)  # each gets what the last one passed


def run_checks(
    candidates: Sequence[Candidate], checks: Sequence[Check] = CHECKS
) -> tuple[list[Candidate], list[Rejection]]:
    """Run the checks; return the candidates that pass all, and the rejections."""
    left, rejections = list(candidates), list[Rejection]()
    for check in checks:
        found = check(left)
        rejected = {rejection.file for rejection in found}
        left = [candidate for candidate in left if candidate.name not in rejected]
        rejections += found
    return left, rejections


def _by_pixels(candidates: Sequence[Candidate]) -> list[list[Candidate]]:
    """Group candidates by equal pixels, in the source's order."""
    twins: dict[str, list[Candidate]] = defaultdict(list)
    for candidate in candidates:
        twins[candidate.image_id].append(candidate)
    return list(twins.values())
