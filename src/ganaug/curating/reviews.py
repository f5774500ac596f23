"""What people said of synthetic images: data/review.csv, a small table kept in Git.

An image is named by the hash of its pixels, so a row holds for the generator that made it and for
no other.
- reject: the image is left out.
- relabel: the reviewer saw the class `to_class`. The image is left out just the same: in another
  class it would no longer be what the generator makes of its class and seed.
- reviewed: the reviewer has seen all images of a set; `image_id` names the set, `to_class` the
  generator.
"""

import csv
import hashlib
import io
import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ganaug.errors import DatasetError, explained

COLUMNS = ("image_id", "class", "action", "to_class", "reviewer")
REJECT, RELABEL, REVIEWED = ACTIONS = ("reject", "relabel", "reviewed")


class Review(NamedTuple):
    """A row: one decision of one person."""

    image_id: str
    class_name: str  # that the image was made for
    action: str
    to_class: str
    reviewer: str  # initials


def read_reviews(path: Path, class_names: Sequence[str]) -> list[Review]:
    """Read a table of reviews.

    Raises:
        DatasetError: there is none, or it breaks a rule; names the first row that does.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")  # a spreadsheet may put a mark first
    except FileNotFoundError:
        columns = ",".join(COLUMNS)
        raise DatasetError(f"{path}: no such file; without reviews, it is {columns}") from None
    except UnicodeDecodeError:
        raise DatasetError(f"{path}: not text in UTF-8") from None
    return parse_reviews(text, class_names, where=str(path))


def parse_reviews(text: str, class_names: Sequence[str], *, where: str) -> list[Review]:
    """The rows of a table of reviews; see `read_reviews`."""
    with explained(DatasetError, f"{where}: not a table in CSV", csv.Error):
        rows = list(csv.reader(io.StringIO(text, newline=""), strict=True))
    head = ",".join(rows.pop(0) if rows else [])
    if head != ",".join(COLUMNS):
        raise DatasetError(f"{where}: columns {head!r}, expected {','.join(COLUMNS)}")
    for number, row in enumerate(rows, start=1):
        if row and (problem := _problem_of(row, class_names)):
            raise DatasetError(f"{where}: row {number}: {problem}")
    return [Review(*row) for row in rows if row]


def _problem_of(row: list[str], class_names: Sequence[str]) -> str | None:
    """What is wrong with a row, if anything."""
    if len(row) != len(COLUMNS):
        return f"{len(row)} values, expected {len(COLUMNS)}"
    review = Review(*row)
    name, to = review.class_name, review.to_class
    known = ", ".join(class_names)
    fits = {
        REJECT: not to,
        RELABEL: to in class_names and to != name,
        REVIEWED: re.fullmatch("[0-9a-f]{64}", to),
    }
    rules = (
        (re.fullmatch("[0-9a-f]{32}", review.image_id), "image_id", "32 hexadecimal digits"),
        (review.action in ACTIONS, "action", ", ".join(ACTIONS)),
        (name in class_names if review.action != REVIEWED else not name, "class", known),
        (fits.get(review.action), "to_class", f"another class of {known} for relabel"),
        (re.fullmatch(r"[\w.-]{1,8}", review.reviewer), "reviewer", "1 to 8 letters or digits"),
    )
    found = dict(zip(COLUMNS, row, strict=True))
    return next((f"{c} {found[c]!r}, expected {what}" for ok, c, what in rules if not ok), None)


def as_text(reviews: Iterable[Review]) -> str:
    """The table in CSV."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([COLUMNS, *reviews])
    return text.getvalue()


def merge_reviews(
    earlier: Iterable[Review], later: Iterable[Review], *, shown: Collection[str]
) -> list[Review]:
    """Join two tables; what `later` says, or no longer says, of `shown` image_ids holds."""
    kept = [review for review in earlier if review.image_id not in shown]
    return list(dict.fromkeys([*kept, *later]))


def rejected_ids(reviews: Iterable[Review]) -> dict[str, str]:
    """What was last said of each image that is to be left out: reject or relabel."""
    return {r.image_id: r.action for r in reviews if r.action != REVIEWED}


def set_id(image_ids: Iterable[str]) -> str:
    """32 hexadecimal digits that name a set of images."""
    return hashlib.sha256(" ".join(sorted(image_ids)).encode()).hexdigest()[:32]


def describe_review(
    reviews: Sequence[Review],
    *,
    left_out: Sequence[str],
    accepted: Iterable[str],
    generator_id: str,
) -> Mapping[str, Any]:
    """What people did to this generator's images: {"review": facts}, or {} if nobody saw them.

    Args:
        reviews: all rows, also of other generators.
        left_out: image_ids that were drawn and left out for a review.
        accepted: image_ids of the accepted images.
        generator_id: of both.
    Returns:
        In "review": rejected and relabelled (images left out), reviewers (initials), complete
        (whether somebody has seen all accepted images).
    """
    missing = set(left_out)
    about = [r for r in reviews if r.image_id in missing or r.to_class == generator_id]
    if not about:
        return {}
    actions = rejected_ids(reviews)
    number, this = Counter(actions[image_id] for image_id in left_out), set_id(accepted)
    facts = {
        "rejected": number[REJECT],
        "relabelled": number[RELABEL],
        "reviewers": sorted({review.reviewer for review in about}),
        "complete": any(r.image_id == this for r in about if r.action == REVIEWED),
    }
    return {"review": facts}
