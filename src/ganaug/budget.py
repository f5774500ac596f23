"""What a stage cost: wall-clock time and peak memory, written beside its results."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ganaug.fileio import write_json


@contextmanager
def measured(stage: str, path: Path) -> Iterator[dict[str, float]]:
    """Run a stage, then write {"seconds", "peak_memory_mib"} to `path` and print one line.

    Yields:
        A dictionary to add more costs to.
    """
    began = time.monotonic()
    more: dict[str, float] = {}
    yield more
    seconds = round(time.monotonic() - began, 1)
    memory = round(peak_memory_mib())
    write_json({"seconds": seconds, "peak_memory_mib": memory, **more}, path)
    print(f"{stage}: {seconds:.1f} s, peak memory {memory} MiB", flush=True)


def peak_memory_mib() -> float:
    """Largest resident size of this process or of any child it has waited for, in MiB."""
    import resource  # absent on Windows, where the stages still import

    sizes = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    peak = max(resource.getrusage(who).ru_maxrss for who in sizes)
    return peak / (2**20 if sys.platform == "darwin" else 2**10)
