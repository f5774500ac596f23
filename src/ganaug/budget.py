"""What a stage cost: time, processor time and peak memory, written beside its results."""

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from ganaug.fileio import write_json


@contextmanager
def measured(stage: str, path: Path) -> Iterator[dict[str, float]]:
    """Run a stage, then write what it cost to `path` and print one line.

    "seconds" by the clock, "core_seconds" of this process and "worker_core_seconds" of its children
    on this machine, "peak_memory_mib" of the largest process.

    Yields:
        A dictionary to add more costs to.
    """
    began = time.monotonic()
    more: dict[str, float] = {}
    yield more
    seconds = round(time.monotonic() - began, 1)
    memory = round(peak_memory_mib())
    costs = {
        "seconds": seconds,
        "core_seconds": round(time.process_time(), 1),
        "worker_core_seconds": round(_core_seconds_of_children(), 1),
        "peak_memory_mib": memory,
    }
    write_json(costs | more, path)
    print(f"{stage}: {seconds:.1f} s, peak memory {memory} MiB", flush=True)


def peak_memory_mib() -> float:
    """Largest resident size of this process or of any child that has ended, in MiB."""
    import resource  # absent on Windows, where the stages still import

    sizes = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    peak = max(resource.getrusage(who).ru_maxrss for who in sizes)
    return peak / (2**20 if sys.platform == "darwin" else 2**10)


def _core_seconds_of_children() -> float:
    """Of those that have ended, and of workers that wait for more."""
    ended = os.times()
    living = [child.cpu_times() for child in psutil.Process().children(recursive=True)]
    own: float = sum(times.user + times.system for times in living)
    return ended.children_user + ended.children_system + own
