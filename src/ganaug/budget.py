"""What a stage cost: time, processor time and peak memory, written beside its results."""

import os
import re
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
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
    began, (own, children) = time.monotonic(), _core_seconds()
    more: dict[str, float] = {}
    yield more
    seconds = round(time.monotonic() - began, 1)
    memory, cores = round(peak_memory_mib()), _core_seconds()
    costs = {
        "seconds": seconds,
        "core_seconds": round(cores[0] - own, 1),
        "worker_core_seconds": round(max(0.0, cores[1] - children), 1),
        "peak_memory_mib": memory,
    }
    write_json(costs | more, path)
    print(f"{stage}: {seconds:.1f} s, peak memory {memory} MiB", flush=True)


def peak_memory_mib() -> float:
    """Largest resident size that this process or a child of it, ended or not, has had, in MiB."""
    import resource  # absent on Windows, where the stages still import

    sizes = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    peak = max(resource.getrusage(who).ru_maxrss for who in sizes)
    peaks = [peak / (2**20 if sys.platform == "darwin" else 2**10)]
    for child in _living_children():
        with suppress(psutil.Error):
            peaks.append(child.memory_info().rss / 2**20)
        with suppress(OSError):  # Linux alone knows its peak
            status = Path(f"/proc/{child.pid}/status").read_text(encoding="utf-8")
            peaks += [int(found) / 2**10 for found in re.findall(r"VmHWM:\s+(\d+) kB", status)]
    return max(peaks)


def _core_seconds() -> tuple[float, float]:
    """Of this process, and of its children, ended or not."""
    ended = os.times()
    children = ended.children_user + ended.children_system
    for child in _living_children():
        with suppress(psutil.Error):  # it has ended meanwhile
            times = child.cpu_times()
            children += times.user + times.system
    return time.process_time(), children


def _living_children() -> list[psutil.Process]:
    found: list[psutil.Process] = psutil.Process().children(recursive=True)
    return found
