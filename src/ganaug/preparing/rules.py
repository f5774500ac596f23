"""Rules for the images as a whole; the errors say what to do."""

from collections import Counter
from collections.abc import Iterable, Sequence

import pandas as pd

from ganaug.errors import DatasetError, SourceError
from ganaug.preparing.checks import Candidate, Rejection
from ganaug.sources.base import SourceFacts

FEWEST_IMAGES = 8  # per class; fewer can't be split, learned and measured
FEWEST_IN_HALF = 2  # training images per class: `generate` splits the groups in two halves
FEW_IMAGES = 50  # per class; published GANs did harm below 20 to 50 (arXiv:2603.16134)
SHOWN_REJECTIONS = 3


def require_known_classes(candidates: Sequence[Candidate], facts: SourceFacts) -> None:
    """Refuse images of a class that the source does not list.

    Raises:
        SourceError: with the first such image.
    """
    for candidate in candidates:
        if candidate.class_name not in facts.classes:
            raise SourceError(
                f"{facts.name}: {candidate.name} is of class {candidate.class_name!r}; "
                f"expected one of {', '.join(facts.classes)}"
            )


def require_few_rejected(
    rejections: Sequence[Rejection], candidates: Sequence[Candidate], *, most: float
) -> None:
    """Refuse a source with no images, or with a larger share of unusable ones than `most`.

    Raises:
        DatasetError: with the first reasons.
    """
    num_read = len(rejections) + len(candidates)
    if num_read == 0:
        raise DatasetError("the source has no images; see prepare.source")
    if len(rejections) > most * num_read:
        first = "; ".join(f"{r.file}: {r.detail}" for r in rejections[:SHOWN_REJECTIONS])
        raise DatasetError(
            f"{len(rejections)} of {num_read} images are unusable, more than "
            f"prepare.max_reject_fraction = {most:g} allows: {first}; mend them or raise the limit"
        )


def require_enough(candidates: Sequence[Candidate], facts: SourceFacts) -> list[str]:
    """Refuse fewer than two classes or a class with too few images; note small classes.

    Returns:
        One sentence per small class.
    Raises:
        DatasetError: a class-conditional GAN can't learn from this.
    """
    if len(facts.classes) < 2:
        raise DatasetError(
            f"{facts.name} has one class, {', '.join(facts.classes)}; a class-conditional GAN "
            "needs two: split the label or add images of another class"
        )
    counts = Counter(candidate.class_name for candidate in candidates)
    for name in facts.classes:
        if counts[name] < FEWEST_IMAGES:
            raise DatasetError(
                f"class {name!r} has {counts[name]} distinct usable images; at least "
                f"{FEWEST_IMAGES} are needed: add images or merge the class with another"
            )
    return [
        f"class {name!r} has {counts[name]} distinct images; below {FEW_IMAGES} a GAN may "
        "do harm, so read the verdict with care"
        for name in facts.classes
        if counts[name] < FEW_IMAGES
    ]


def require_two_halves(train: pd.DataFrame, class_names: Iterable[str]) -> None:
    """Refuse a class whose training images can't be cut into two halves of whole groups.

    Args:
        train: columns `class_name` and `group`.
        class_names: all of them, also those without a training image.
    Raises:
        DatasetError: too few images of a class, or nearly all in one group.
    """
    for name in class_names:
        groups = train.loc[train["class_name"] == name, "group"]
        number, largest = len(groups), groups.value_counts().max() if len(groups) else 0
        if number < 2 * FEWEST_IN_HALF or number - largest < FEWEST_IN_HALF:
            raise DatasetError(
                f"class {name!r} has {number} training images, {largest} of them in one group; "
                f"{2 * FEWEST_IN_HALF} are needed, {FEWEST_IN_HALF} outside of the largest group: "
                "add images, merge the class with another, keep more (prepare.train_fraction, "
                "prepare.keep_train), or hold out a smaller share (prepare.val_fraction, "
                "prepare.test_fraction)"
            )
