"""Stop early on a signal, or when the program that started this one dies."""

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import psutil

LAUNCHERS = ("make", "dvc", "sh", "dash")  # if one of them dies, nobody waits for the result
POLL_SEC = 1.0


class StopRequest:
    """Tells, once per step, whether to stop."""

    def __init__(self) -> None:
        self._signum: int | None = None
        self._launchers = _launchers()
        self._next_poll = 0.0

    def receive(self, signum: int, _frame: FrameType | None) -> None:
        """Signal handler: remember the signal, so that the step can finish."""
        self._signum = signum

    def pending(self) -> int | None:
        """The signal to stop for, or None. An orphan stops as if it were sent SIGTERM."""
        now = time.monotonic()
        if self._signum is None and now >= self._next_poll:
            self._next_poll = now + POLL_SEC
            for process in self._launchers:
                if not process.is_running() or process.status() == psutil.STATUS_ZOMBIE:
                    self._signum = signal.SIGTERM
        return self._signum


def _launchers() -> list[psutil.Process]:
    """The chain of make, dvc and shells that started this process.

    It ends at an interactive shell or terminal: closing that must not end a run under nohup.
    """
    chain = []
    for parent in psutil.Process().parents():
        name = parent.name()
        command = " ".join(parent.cmdline()[:3])
        if name not in LAUNCHERS and "dvc" not in command:
            break
        chain.append(parent)
    return chain


@contextmanager
def stop_requests() -> Iterator[StopRequest]:
    """Turn SIGINT and SIGTERM into a `StopRequest` while the block runs."""
    request = StopRequest()
    old = {s: signal.signal(s, request.receive) for s in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield request
    finally:
        for signum, handler in old.items():
            signal.signal(signum, handler)
