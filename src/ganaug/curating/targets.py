"""How many synthetic images each class should get."""

import math
from collections.abc import Mapping


def synthetic_targets(
    real_counts: Mapping[str, int], *, strategy: str, amount: float
) -> dict[str, int]:
    """Images wanted per class.

    Args:
        real_counts: real training images by class.
        strategy: balance (fill every class up to `amount` x the largest one), per_class (`amount`
            images for each) or ratio (`amount` x the class's real images).
        amount: > 0; see `strategy`.
    Returns:
        {class: images}, each >= 0, fractions rounded up.
    """
    if strategy == "balance":
        target = math.ceil(amount * max(real_counts.values()))
        return {name: max(0, target - count) for name, count in real_counts.items()}
    if strategy == "per_class":
        return {name: math.ceil(amount) for name in real_counts}
    return {name: math.ceil(amount * count) for name, count in real_counts.items()}
