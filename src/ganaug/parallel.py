"""Parallel runs over processes whose workers never outlive the program that started them."""

import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from typing import Any, TypeVar

import joblib

Task = TypeVar("Task")
Result = TypeVar("Result")

POLL_SEC = 1.0


def map_unordered(
    function: Callable[[Task], Result], tasks: Iterable[Task], *, num_workers: int
) -> Iterator[Result]:
    """Results of `function` for each task, in the order in which they are done.

    Args:
        function: must be importable in a worker; memory-mapped arrays in a task are not copied.
        tasks: one argument each.
        num_workers: processes; 1 runs here, -1 takes every core.
    Raises:
        Exception: what `tasks` or `function` raised.
    """
    failures: list[Exception] = []

    def until_failure() -> Iterator[Task]:
        # joblib draws from a thread of its own, where an error would be lost and the run hang.
        try:
            yield from tasks
        except Exception as error:
            failures.append(error)

    parallel = joblib.Parallel(n_jobs=num_workers, return_as="generator_unordered")
    results: Iterator[Result] = parallel(
        joblib.delayed(_guarded)(os.getpid(), function, task) for task in until_failure()
    )
    yield from results
    if failures:
        raise failures[0]


def _guarded(parent: int, function: Callable[[Any], Result], task: Any) -> Result:
    if os.getpid() != parent:
        _exit_with(parent)
    return function(task)


@lru_cache(maxsize=1)
def _exit_with(parent: int) -> None:
    """Watch from a thread, started once a process: a killed parent can't tell its workers."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(POLL_SEC)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
