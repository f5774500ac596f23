"""Recipes: on what a classifier trains, and how. All that is compared is a recipe.

Without synthetic images: classes as they come or drawn equally often, classical augmentation,
mixup, CutMix, soft labels. With them: the same, and a share of each batch, a schedule, a weight in
the loss. The arms of the textbooks (A to E) are recipes too.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

Schedule = Literal["mix", "first"]
SYNTHETIC_UNTIL = 0.7  # share of the steps that the schedule "first" mixes in; then real ones alone
WORDS = {  # of the fields of `Recipe`, in sentences
    "classical": "classical augmentation",
    "mixup": "mixup",
    "cutmix": "CutMix",
    "soft_labels": "soft labels",
}
LOPSIDED = 0.5  # smallest class over the largest: below it classes may get images by their need
LOWER_WEIGHT = 0.3  # in the loss, of a synthetic image, where a candidate lowers it


@dataclass(frozen=True)
class Recipe:
    """How to train a classifier.

    Args:
        real: whether real images are used; without them, share is 1.
        classical: whether images are changed by classical augmentation.
        balanced: whether classes are drawn equally often, synthetic images included; else as they
            come among the real images.
        mixup: whether pairs of images of a batch are mixed (Zhang et al. 2018, arXiv:1710.09412).
        cutmix: whether a piece of another image of the batch is pasted (Yun et al. 2019,
            arXiv:1905.04899); balanced, rare classes are pasted on frequent ones, as in Park et al.
            2022, arXiv:2112.00412.
        soft_labels: whether labels are half those of classifiers that were trained on the real
            train split, on real and synthetic images alike.
        share: of each batch that is synthetic, 0..1.
        by_need: whether a class gets this share in proportion to what it lacks, 1 - (its real
            images / those of the largest class); else all classes get it.
        schedule: "mix" has this share in every batch; "first" in the first 70 % of the steps, then
            real images alone (after Li et al. 2024, arXiv:2403.19866).
        weight: of a synthetic image in the loss, a real one's being 1.
    """

    real: bool = True
    classical: bool = True
    balanced: bool = True
    mixup: bool = False
    cutmix: bool = False
    soft_labels: bool = False
    share: float = 0.0
    by_need: bool = False
    schedule: Schedule = "mix"
    weight: float = 1.0

    def amount(self, need: float = 1.0) -> float:
        """How much synthetic images count in it, 0..1: fewer are taken where two do as well.

        Args:
            need: part of the share that the classes get together, 0..1: 1 unless by need.
        """
        return self.mean_share * self.weight * need

    @property
    def mean_share(self) -> float:
        """The synthetic share of all batches together, 0..1."""
        return self.share * (SYNTHETIC_UNTIL if self.schedule == "first" else 1.0)

    @property
    def name(self) -> str:
        """Short, for tables, and the key of its runs: "balanced+classical+20%"."""
        parts = ["balanced" if self.balanced else "as-they-come"]
        parts += [field for field in WORDS if getattr(self, field)]
        if self.share:
            need = "-by-need" if self.by_need else ""
            first = "-first" if self.schedule == "first" else ""
            parts.append(f"{100 * self.share:g}%{need}{first}")
        if self.weight != 1:
            parts.append(f"weight-{self.weight:g}")
        return "+".join(parts)

    @property
    def words(self) -> str:
        """For sentences."""
        parts = ["classes drawn equally often" if self.balanced else "classes as they come"]
        parts += [words for field, words in WORDS.items() if getattr(self, field)]
        if self.share:
            until = f" in the first {SYNTHETIC_UNTIL:.0%} of the steps"
            part = f"{100 * self.share:g}% of each batch synthetic"
            need = ", less in classes with many images" if self.by_need else ""
            parts.append(part + need + (until if self.schedule == "first" else ""))
        if self.weight != 1:
            parts.append(f"synthetic images weighted {self.weight:g}")
        return ", ".join(parts)


ARMS = {  # of the textbooks
    "A": Recipe(classical=False, balanced=False),  # the real images as they are
    "B": Recipe(balanced=False),  # the same with classical augmentation
    "B'": Recipe(),  # with classical augmentation, classes drawn equally often
    "C": Recipe(classical=False, balanced=False, share=0.5),  # A with half of a batch synthetic
    "D": Recipe(balanced=False, share=0.5),  # B with half of a batch synthetic
    "E": Recipe(real=False, balanced=False, share=1.0),  # synthetic images alone, augmented
}
PLAIN = ARMS["A"]
TEACHER = ARMS["B'"]  # whose classifiers give the soft labels


def without_synthetic(*, mixes: bool) -> list[Recipe]:
    """The candidates without synthetic images.

    Args:
        mixes: whether the network can learn from mixed images; soft labels are tried later, on the
            best of these.
    """
    candidates = [Recipe(balanced=balanced) for balanced in (False, True)]
    mixed = [replace(recipe, mixup=True) for recipe in candidates]
    pasted = [replace(recipe, cutmix=True) for recipe in candidates]
    return candidates + (mixed + pasted if mixes else [])


def are_lopsided(counts: Iterable[int]) -> bool:
    """Whether classes of so many real images differ so much that need is worth a try."""
    numbers = list(counts)
    return min(numbers) < LOPSIDED * max(numbers)


def with_synthetic(
    base: Recipe, shares: Sequence[float], *, lopsided: bool, in_steps: bool, soft_labels: bool
) -> list[Recipe]:
    """The candidates that add synthetic images to a recipe.

    Args:
        base: the best one without them.
        shares: of a batch, 0 < share < 1, rising.
        lopsided: whether classes differ in size, so that some need images more than others.
        in_steps: whether the network learns step by step, so that a schedule means something.
        soft_labels: whether there are any; without synthetic images they have been tried before,
            so what they bring is not taken for the images' work.
    """
    mixed = [replace(base, share=share) for share in shares]
    needed = [replace(recipe, by_need=True) for recipe in mixed if lopsided]
    if not in_steps:
        return mixed + needed
    first = [replace(recipe, schedule="first") for recipe in mixed]
    lowered = replace(mixed[-1], weight=LOWER_WEIGHT)
    soft = [replace(mixed[0], soft_labels=True)] if soft_labels and not base.soft_labels else []
    return [*mixed, *needed, *first, lowered, *soft]
