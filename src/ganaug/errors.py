"""Errors for people: what was wrong, where, and what to do, in one line.

Code raises these for anything that a user can cause; `run` turns them, and a full disk, into that
line and exit code 2. Anything else is our own mistake and keeps its traceback.
"""

import errno
import sys
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from typing import NoReturn


class GanaugError(Exception):
    """Base of every error that a user can cause and mend."""


class ParamsError(GanaugError):
    """params.yaml is missing, malformed, or breaks a rule."""


class SourceError(GanaugError):
    """A source of real images can't be read."""


class RemoteError(SourceError):
    """Files at a URL can't be read now; what was read stays for the next run."""


class DatasetError(GanaugError):
    """A dataset folder, shard or row breaks its contract."""


class SnapshotError(GanaugError):
    """A generator snapshot or a checkpoint can't be used."""


class TrainingError(GanaugError):
    """Training can't start or can't go on."""


class WorkerError(GanaugError):
    """Worker processes were killed again and again, or the cluster can't be used."""


class StoppedBySignal(Exception):
    """A run saved its state and stopped because it was asked to; exit code 128 + signal."""

    def __init__(self, signum: int, message: str) -> None:
        super().__init__(message)
        self.exit_code = 128 + signum


def one_line(error: Exception) -> str:
    """What another library's error says, or else is called, without line ends."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text.encode(errors="replace").decode()  # a file's name may be no text


@contextmanager
def explained(
    kind: type[GanaugError], where: str, *errors: type[Exception], then: str = ""
) -> Iterator[None]:
    """Raise another library's `errors` as one of ours, "where (what it says); then"."""
    try:
        yield
    except errors as error:
        raise kind(f"{where} ({one_line(error)}){then and '; '}{then}") from None


def require_known(option: str, value: str, known: Collection[str]) -> None:
    """Refuse the value of a command's option if it is not one of those that are known."""
    if value not in known:
        raise GanaugError(f"{option} {value}: not one of {', '.join(known)}")


def run(command: Callable[[], object]) -> None:
    """Run a command line; a user's error becomes one line on stderr and exit code 2."""
    try:
        command()
    except GanaugError as error:
        _end(f"error: {one_line(error)}", 2)
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            _end(f"error: {where}the disk is full, or its quota; free some space and run again", 2)
        if not where:
            raise
        _end(f"error: {where}{error.strerror}", 2)
    except StoppedBySignal as stopped:
        _end(f"stopped: {stopped}", stopped.exit_code)


def _end(line: str, exit_code: int) -> NoReturn:
    print(line, file=sys.stderr)
    sys.exit(exit_code)
