"""How long work takes."""

import time
from collections.abc import Callable


def seconds_of(work: Callable[[], object]) -> float:
    """Run `work` once, by the wall clock."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began
