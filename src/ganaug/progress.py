"""Show progress: a bar with rate and time left on a terminal, plain lines when piped."""

import sys
import time

from rich.console import Console
from rich.progress import BarColumn, Progress, TimeRemainingColumn

LINES_PER_RUN = 20  # plain lines of a whole run when piped, besides notes
FIRST_LINE = 1000  # units before the first plain line if the total is unknown; then twice as many


class ProgressReport:
    """Report progress through `total` units, say images; None if the total is unknown.

    A context manager; `advance` counts, `note` prints a line that stays. A `quiet` one prints
    nothing: another process tells the same.
    """

    def __init__(
        self,
        title: str,
        *,
        total: int | None,
        unit: str = "images",
        start: int = 0,
        quiet: bool = False,
    ) -> None:
        self._title, self._total, self._unit = title, total, unit
        self._done = self._first = start
        self._began = time.monotonic()
        self._next_line = self._plan_line()
        console = Console(file=sys.stderr, quiet=quiet)
        columns = ("{task.description}", BarColumn(), "{task.fields[state]}", TimeRemainingColumn())
        piped = not console.is_terminal
        self._bar = Progress(*columns, console=console, transient=True, disable=piped)
        self._task = self._bar.add_task(title, total=total, completed=start, state=self._count())

    def __enter__(self) -> "ProgressReport":
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    @property
    def rate(self) -> float:
        """Units per second since the start, 0 before the first."""
        return (self._done - self._first) / max(time.monotonic() - self._began, 1e-9)

    def advance(self, count: int = 1) -> None:
        """Count `count` more units."""
        self._done += count
        self._bar.update(self._task, advance=count, state=f"{self._count()} {self._speed()}")
        if self._bar.disable and self._done >= self._next_line:
            self._next_line = self._plan_line()
            self.note(f"{self._count()} {self._unit}, {self._speed()}{self._time_left()}")

    def _plan_line(self) -> int:
        """After how many units the next plain line is due."""
        if self._total is None:
            return max(FIRST_LINE, 2 * self._done)
        step = max(1, self._total // LINES_PER_RUN)
        return max(min(self._done + step, self._total), self._done + 1)

    def _count(self) -> str:
        return f"{self._done}" if self._total is None else f"{self._done}/{self._total}"

    def _time_left(self) -> str:
        if self._total is None:
            return ""
        minutes, seconds = divmod(round(max(0, self._total - self._done) / self.rate), 60)
        return f", {minutes}:{seconds:02d} left"

    def _speed(self) -> str:
        if 0 < self.rate < 1:
            return f"{1 / self.rate:.1f} s each"
        return f"{self.rate:.1f} {self._unit}/s"

    def note(self, text: str) -> None:
        """Print one line that stays."""
        self._bar.console.out(f"{self._title}: {text}", highlight=False)
