"""The check across all decoded images: equal pixels are rejected, with the reason."""

from collections import defaultdict
from collections.abc import Sequence
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
    """An image that can't be used, and why."""

    file: str  # name as in the source
    reason: str  # a fixed word, say unreadable or duplicate
    detail: str  # for people


def reject_duplicates(candidates: Sequence[Candidate]) -> tuple[list[Candidate], list[Rejection]]:
    """The candidates with pixels of their own, and the rejected rest.

    Of equal pixels in one class the first in the source's order stays. In two classes all are
    rejected: nobody knows which label is right.
    """
    by_pixels: dict[str, list[Candidate]] = defaultdict(list)
    for candidate in candidates:
        by_pixels[candidate.image_id].append(candidate)
    conflicts, duplicates = list[Rejection](), list[Rejection]()
    for first, *later in by_pixels.values():
        others = [twin for twin in later if twin.class_name != first.class_name]
        if not others:
            detail = f"same pixels as {first.name}"
            duplicates += [Rejection(twin.name, "duplicate", detail) for twin in later]
            continue
        for twin in (first, *later):
            other = others[0] if twin.class_name == first.class_name else first
            detail = f"same pixels as {other.name} of class {other.class_name}"
            conflicts.append(Rejection(twin.name, "label_conflict", detail))
    rejected = {rejection.file for rejection in conflicts + duplicates}
    kept = [candidate for candidate in candidates if candidate.name not in rejected]
    return kept, conflicts + duplicates
