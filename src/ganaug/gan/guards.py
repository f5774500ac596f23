"""Detect training that has gone wrong: pure functions of the measurements."""

import math

# Metric per class: mean pairwise feature distance, relative to real images.
DIVERSITY = "class_diversity/"
COLLAPSED_BELOW = 0.5
DOUBLED = 2.0  # a KID below this multiple of the best may be noise


def not_finite(values: dict[str, float]) -> str:
    """Names of the values that are NaN or infinite, as a reason to roll back; else nothing."""
    names = [name for name, value in values.items() if not math.isfinite(value)]
    return f"not finite: {', '.join(names)}" if names else ""


def lost_ground(kid: float, *, first: float, best: float, noise: float = 0.0) -> str:
    """Why a KID on val is far above the best; else nothing.

    Args:
        kid: of this evaluation.
        first, best: KIDs of the first and the best evaluation so far; their distance sets the
            scale, which differs between datasets.
        noise: standard deviation of a KID; a change below three of it does not count.
    """
    if kid <= (first + best) / 2 or kid <= DOUBLED * best or kid - best <= 3 * noise:
        return ""
    return f"val KID {kid:.4f}: half of the way to the best, {best:.4f}, is lost"


def collapsed_classes(values: dict[str, float]) -> list[str]:
    """Classes whose samples are less than half as varied as the real ones."""
    return [
        name.removeprefix(DIVERSITY)
        for name, value in values.items()
        if name.startswith(DIVERSITY) and value < COLLAPSED_BELOW
    ]
