"""What was tried and what was lost: kept in .ganaug/storm, so that a stopped storm goes on."""

import random
import re
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ganaug.fileio import read_json, write_json, write_text

SEED = 21
LAST = 10**9  # the turn of a fault of a single try, which looks at what the others left
PAGE = Path(__file__).parents[2] / "docs/reliability.md"
MARKS = "<!-- storm -->", "<!-- end of storm -->"
HEAD = "| fault | tried | survived | lost | seconds |\n| --- | --- | --- | --- | --- |\n"


@dataclass(frozen=True)
class Fault:
    """A kind of fault: `act` does tries and says in one line each what was lost."""

    name: str
    total: int  # tries
    act: Callable[[random.Random, int], list[str]]  # of a number of tries
    step: int = 1  # tries at a time


Part = Callable[[], AbstractContextManager[list[Fault]]]


def run_part(part: Part, path: Path, *, end: float, share: float = 1.0) -> dict[str, Any]:
    """Go on with a part until its numbers are reached or the time is up; what happened so far.

    Args:
        part: gives its faults.
        path: where the counts are kept.
        end: `time.monotonic()` to stop at.
        share: of the tries.
    """
    counts: dict[str, Any] = read_json(path) if path.exists() else {}
    with part() as faults:
        for fault in faults:
            counts.setdefault(fault.name, {"tried": 0, "seconds": 0.0, "lost": {}})
        for fault, start, number in _plan(faults, counts, share):
            if time.monotonic() < end:
                _try(fault, counts[fault.name], start, number)
                write_json(counts, path)
    return counts


def _plan(
    faults: list[Fault], counts: dict[str, Any], share: float
) -> list[tuple[Fault, int, int]]:
    """Fault, first try and number of tries: what was lost again, perhaps it is mended; then all
    faults by turns, so that each has its share of a short time.
    """
    found = []
    for fault in faults:
        own = counts[fault.name]
        total = max(round(fault.total * share), own["tried"])
        starts = range(own["tried"], total, fault.step)
        new = [(start, turn if fault.total > 1 else LAST) for turn, start in enumerate(starts, 1)]
        for start, when in [*((int(start), 0) for start in own["lost"]), *new]:
            found.append((when, (fault, start, min(fault.step, total - start))))
    return [task for _, task in sorted(found, key=lambda pair: pair[0])]


def _try(fault: Fault, own: dict[str, Any], start: int, number: int) -> None:
    began, seed = time.monotonic(), f"{SEED} {fault.name} {start}"
    losses = fault.act(random.Random(seed), number)
    own["tried"] = max(own["tried"], start + number)
    own["lost"].pop(str(start), None)
    if losses:
        own["lost"][str(start)] = losses[:number]
    own["seconds"] = round(own["seconds"] + time.monotonic() - began, 1)
    for loss in losses:
        print(f"LOST [{seed}] {loss}", flush=True)


def rows(folder: Path) -> dict[str, str]:
    """A row of the table for each fault that was tried."""
    found = {}
    for path in sorted(folder.glob("*.json")):
        for name, own in read_json(path).items():
            tried, lost = own["tried"], sum(map(len, own["lost"].values()))
            if tried:
                numbers = f"{tried:,} | {tried - lost:,} | {lost:,} | {own['seconds']:,.0f}"
                found[name] = f"| {name} | {numbers} |"
    return found


def record(folder: Path, page: Path = PAGE) -> str:
    """Write the table between the marks of the page, with its old rows of what was not run."""
    text, (first, last) = page.read_text(encoding="utf-8"), MARKS
    before, _, rest = text.partition(first)
    old, _, after = rest.partition(last)
    known = {row.split(" | ")[0].removeprefix("| "): row for row in old.splitlines()[3:]}
    table = HEAD + "\n".join(dict(sorted((known | rows(folder)).items())).values())
    write_text(f"{before}{first}\n{table}\n{last}{after}", page)
    return re.sub(r"\| --- .*\n", "", table)
