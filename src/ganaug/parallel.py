"""Run tasks in processes, here or on a cluster; a process that dies loses no task.

Workers on this machine end with the program that started them; a cluster manages its own.
"""

import os
import threading
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, as_completed, wait
from contextlib import ExitStack, contextmanager
from functools import cache, lru_cache, partial
from itertools import chain, islice
from pathlib import Path
from typing import Any, TypeVar

import joblib
from joblib.externals.loky.process_executor import TerminatedWorkerError
from threadpoolctl import threadpool_limits

from ganaug.config import Backend
from ganaug.errors import WorkerError, one_line

Task = TypeVar("Task")
Result = TypeVar("Result")
MapTasks = Callable[[Callable[[Any], Any], Iterable[Any]], Iterator[Any]]  # as `map_unordered`
Submit = Callable[[Any], "Future[Any]"]  # a task, to any worker
Send = Callable[[Callable[[Any], Any]], Submit]  # a function of tasks, to the cluster

POLL_SEC = 1.0
MOST_DEATHS = 3  # of workers on this machine; a cluster has a limit of its own


@contextmanager
def workers(backend: Backend = "loky", *, num_workers: int = -1) -> Iterator[MapTasks]:
    """Give a `map_unordered` with this backend; a cluster is joined or started once for all calls.

    Args:
        backend: loky uses this machine; ray and dask the cluster at RAY_ADDRESS or
            DASK_SCHEDULER_ADDRESS, with this folder mounted at the same path; if none is set, this
            machine.
        num_workers: processes; 1 runs in this one, -1 uses every core. A cluster decides itself.
    Raises:
        WorkerError: when first used: the cluster can't be.
    """
    with ExitStack() as stack:
        if backend == "loky" or num_workers == 1:
            there: MapTasks = partial(_map_here, num_workers=num_workers)
        else:
            number = num_workers if num_workers > 0 else joblib.cpu_count()
            cluster = (_ray if backend == "ray" else _dask)(number)
            there = partial(_map_on_cluster, cache(partial(stack.enter_context, cluster)))
        yield partial(_map, there)


def map_unordered(
    function: Callable[[Task], Result],
    tasks: Iterable[Task],
    *,
    num_workers: int = -1,
    backend: Backend = "loky",
) -> Iterator[Result]:
    """Yield the results of `function` for each task, as they finish; a single task runs here.

    Args:
        function: must be importable in a worker; memory-mapped arrays in a task are not copied.
            A task runs again if its worker dies.
        tasks: one argument each.
        num_workers, backend: see `workers`.
    Raises:
        WorkerError: workers died again and again, or the cluster can't be used.
        Exception: what `tasks` or `function` raised.
    """
    with workers(backend, num_workers=num_workers) as map_tasks:
        yield from map_tasks(function, tasks)


def _map(
    there: MapTasks, function: Callable[[Task], Result], tasks: Iterable[Task]
) -> Iterator[Result]:
    tasks = iter(tasks)
    first = list(islice(tasks, 2))
    chosen = there if len(first) == 2 else partial(_map_here, num_workers=1)
    yield from chosen(function, chain(first, tasks))


def in_order(
    function: Callable[[Task], Result], tasks: Iterable[Task], map_tasks: MapTasks
) -> Iterator[Result]:
    """As `map`, by a `map_tasks` that gives results in any order; those that wait are kept."""
    waiting: dict[int, Result] = {}
    due = 0
    for number, result in map_tasks(partial(_numbered, function), enumerate(tasks)):
        waiting[number] = result
        while due in waiting:
            yield waiting.pop(due)
            due += 1


def _numbered(function: Callable[[Task], Result], task: tuple[int, Task]) -> tuple[int, Result]:
    return task[0], function(task[1])


@contextmanager
def one_thread() -> Iterator[None]:
    """Compute on one thread: workers don't fight for cores, and sums don't depend on them."""
    import torch  # not all who share out work need it

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with threadpool_limits(1):  # BLAS
            yield
    finally:
        torch.set_num_threads(before)


def _map_here(
    function: Callable[[Task], Result], tasks: Iterable[Task], *, num_workers: int
) -> Iterator[Result]:
    failures: list[Exception] = []
    numbered, lock = enumerate(tasks), threading.Lock()
    waiting: dict[int, Task] = {}  # drawn, but without a result yet

    def draw() -> Iterator[tuple[int, Task]]:
        # joblib draws from a thread of its own, where an error would be lost and the run hang; and
        # that thread may still be drawing when a worker's death has begun the next round.
        yield from list(waiting.items())
        try:
            while True:
                with lock:
                    number, task = next(numbered)
                    waiting[number] = task
                yield number, task
        except StopIteration:
            pass
        except Exception as error:
            failures.append(error)

    # joblib's, of a worker that has grown and is replaced, which loses nothing.
    warnings.filterwarnings("ignore", "A worker stopped while some jobs were given", UserWarning)
    for num_deaths in range(1, MOST_DEATHS + 1):
        parallel = joblib.Parallel(num_workers, return_as="generator_unordered", batch_size=1)
        try:
            for number, result in parallel(
                joblib.delayed(_guarded)(os.getpid(), function, *drawn) for drawn in draw()
            ):
                del waiting[number]
                yield result
            break
        except TerminatedWorkerError:
            if num_deaths == MOST_DEATHS:
                raise WorkerError(
                    f"worker processes were killed {num_deaths} times, as they are when memory "
                    "runs out; free some and run again"
                ) from None
    if failures:
        raise failures[0]


def _guarded(
    parent: int, function: Callable[[Any], Result], number: int, task: Any
) -> tuple[int, Result]:
    if os.getpid() != parent:
        _exit_with(parent)
    return number, function(task)


@lru_cache(maxsize=1)
def _exit_with(parent: int) -> None:
    """Watch the parent from a thread, once per process: if killed, it can't stop its workers."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(POLL_SEC)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _map_on_cluster(
    connect: Callable[[], tuple[Send, int]],
    function: Callable[[Task], Result],
    tasks: Iterable[Task],
) -> Iterator[Result]:
    send, num_slots = connect()
    submit = send(partial(_run_in, Path.cwd(), function))
    running = set[Future[Any]]()
    for task in tasks:
        if len(running) >= 2 * num_slots:  # one at work, one at hand
            done, running = wait(running, return_when=FIRST_COMPLETED)
            yield from map(_outcome, done)
        running.add(submit(task))
    yield from map(_outcome, as_completed(running))


def _run_in(
    folder: Path, function: Callable[[Any], Result], task: Any
) -> tuple[Result | None, Exception | None]:
    """What a worker of a cluster does; paths in the task may be relative to `folder`."""
    os.chdir(folder)
    try:
        return function(task), None
    except Exception as error:  # returned, since each cluster wraps raised errors in its own way
        return None, error


def _outcome(future: "Future[Any]") -> Any:
    try:
        result, error = future.result()
    except Exception as lost:
        raise WorkerError(f"the cluster gave up on a task: {one_line(lost)}") from lost
    if error is not None:
        raise error
    return result


def _call(work: Callable[[Any], Result], task: Any) -> Result:
    return work(task)


def _same(work: Callable[[Any], Result]) -> Callable[[Any], Result]:
    return work


@contextmanager
def _ray(num_workers: int) -> Iterator[tuple[Send, int]]:
    """What sends work to Ray, with its data and once, and how many tasks run at a time."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # no usage reports
    with _usable("ray"):
        import ray

        own = {"address": "local", "num_cpus": num_workers, "include_dashboard": False}
        where = {} if os.environ.get("RAY_ADDRESS") else own
        ray.init(**where, log_to_driver=False, logging_level="error")

    def send(work: Callable[[Any], Any]) -> Submit:
        remote, sent = ray.remote(_call), ray.put(work)
        return lambda task: remote.remote(sent, task).future()

    try:
        yield send, int(ray.cluster_resources().get("CPU", num_workers))
    finally:
        ray.shutdown()


@contextmanager
def _dask(num_workers: int) -> Iterator[tuple[Send, int]]:
    """The same on Dask."""
    with _usable("dask"):
        import dask
        from distributed import Client

        own = {"n_workers": num_workers, "threads_per_worker": 1, "dashboard_address": None}
        # Work may be large, but goes to the cluster once.
        dask.config.set({"distributed.admin.large-graph-warning-threshold": "1 TiB"})
        client = Client(**({} if dask.config.get("scheduler-address", None) else own))

    def send(work: Callable[[Any], Any]) -> Submit:
        # Not scattered: that needs a worker at once, and does not survive the last one's death.
        sent = client.submit(_same, work, pure=False)
        return partial(client.get_executor(pure=False).submit, _call, sent)

    with client:
        yield send, sum(client.nthreads().values()) or num_workers


@contextmanager
def _usable(backend: str) -> Iterator[None]:
    try:
        yield
    except ImportError:
        raise WorkerError(
            f"backend {backend}: its package is missing: pip install 'ganaug[{backend}]'"
        ) from None
    except Exception as error:
        raise WorkerError(f"backend {backend}: no cluster: {one_line(error)}") from error
