"""Stop early on a signal, or when the program that started this one dies."""

import signal
import time
from contextlib import suppress
from types import FrameType

import psutil

LAUNCHERS = ("make", "dvc", "sh", "dash")  # if one of them dies, nobody waits for the result
POLL_SEC = 1.0


class StopRequest:
    """Tells, once per step, whether to stop: for SIGINT or SIGTERM while its block runs."""

    def __init__(self) -> None:
        self._signum: int | None = None
        self._launchers = _launchers()
        self._next_poll = 0.0

    def __enter__(self) -> "StopRequest":
        self._old = {s: signal.signal(s, self._receive) for s in (signal.SIGINT, signal.SIGTERM)}
        return self

    def __exit__(self, *_: object) -> None:
        for signum, handler in self._old.items():
            signal.signal(signum, handler)

    def _receive(self, signum: int, _frame: FrameType | None) -> None:
        """Signal handler: remember the signal, so that the step can finish."""
        self._signum = signum

    def pending(self) -> int | None:
        """The signal to stop for, or None. An orphan stops as if it were sent SIGTERM."""
        now = time.monotonic()
        if self._signum is None and now >= self._next_poll:
            self._next_poll = now + POLL_SEC
            if not all(map(_is_alive, self._launchers)):
                self._signum = signal.SIGTERM
        return self._signum


def _launchers() -> list[psutil.Process]:
    """The chain of make, dvc and shells that started this process.

    It ends at an interactive shell or terminal: closing that must not end a run under nohup.
    """
    chain = []
    for parent in psutil.Process().parents():
        with suppress(psutil.NoSuchProcess):  # ended just now: `pending` will tell
            if not _launches(parent):
                break
        chain.append(parent)
    return chain


def _launches(process: psutil.Process) -> bool:
    with suppress(psutil.AccessDenied):  # another user's may not show its command
        return process.name() in LAUNCHERS or "dvc" in " ".join(process.cmdline()[:3])
    return False


def _is_alive(process: psutil.Process) -> bool:
    with suppress(psutil.NoSuchProcess):  # it may end between both questions
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    return False
