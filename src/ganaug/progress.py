"""Progress for people: a bar with rate and time left on a terminal, plain lines when piped."""

import sys
import time

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

LINES_PER_RUN = 20  # plain lines of a whole run when piped, besides notes


class ProgressReport:
    """Report progress through `total` units, say images.

    Used as a context manager; `advance` counts, `note` says one line that stays.
    """

    def __init__(self, title: str, *, total: int, unit: str = "images", start: int = 0) -> None:
        self._title, self._total, self._unit = title, total, unit
        self._done = self._first = start
        self._began = time.monotonic()
        self._next_line = start + max(1, total // LINES_PER_RUN)
        console = Console(file=sys.stderr)
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.completed:.0f}/{task.total:.0f} {task.fields[rate]}"),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._task = self._bar.add_task(title, total=total, completed=start, rate="")

    def __enter__(self) -> "ProgressReport":
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    @property
    def rate(self) -> float:
        """Units per second since the start, 0 before the first."""
        elapsed = time.monotonic() - self._began
        return (self._done - self._first) / elapsed if elapsed > 0 else 0.0

    def advance(self, count: int = 1) -> None:
        """Count `count` more units."""
        self._done += count
        self._bar.update(self._task, advance=count, rate=self._describe_speed())
        if self._bar.disable and self._done >= min(self._next_line, self._total):
            self._next_line = self._done + max(1, self._total // LINES_PER_RUN)
            self.note(f"{self._done}/{self._total} {self._unit}, {self._describe_rate()}")

    def _describe_rate(self) -> str:
        if not self.rate:
            return "starting"
        minutes, seconds = divmod(round(max(0, self._total - self._done) / self.rate), 60)
        return f"{self._describe_speed()}, {minutes}:{seconds:02d} left"

    def _describe_speed(self) -> str:
        if 0 < self.rate < 1:
            return f"{1 / self.rate:.1f} s each"
        return f"{self.rate:.1f} {self._unit}/s"

    def note(self, text: str) -> None:
        """Print one line that stays."""
        self._bar.console.out(f"{self._title}: {text}", highlight=False)
