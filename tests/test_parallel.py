import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from ganaug.errors import SourceError, WorkerError
from ganaug.parallel import map_unordered
from tests.refusal import refuses

SLEEPERS = """
import time
from ganaug.parallel import map_unordered
print(list(map_unordered(time.sleep, [0, 0], num_workers=2)), flush=True)
list(map_unordered(time.sleep, [60, 60], num_workers=2))
"""


def kill_own_worker(folder):
    """Give the process' id to a folder, and end as for want of memory."""
    (folder / str(os.getpid())).touch()
    os.kill(os.getpid(), signal.SIGKILL)


def refuse(number):
    raise SourceError(f"no {number} here")


def test_every_task_is_done_once():
    for num_workers in (1, 2):
        assert sorted(map_unordered(abs, [-3, 1, -2], num_workers=num_workers)) == [1, 2, 3]


def test_workers_of_a_killed_program_end():
    program = subprocess.Popen([sys.executable, "-c", SLEEPERS], stdout=subprocess.PIPE)
    program.stdout.readline()
    time.sleep(1)
    workers = [p for p in psutil.Process(program.pid).children() if "Loky" in str(p.cmdline())]
    assert len(workers) == 2
    program.kill()
    program.wait()
    program.stdout.close()
    _, alive = psutil.wait_procs(workers, timeout=10)
    assert alive == []


def test_a_task_that_kills_every_worker_ends_the_run(tmp_path):
    tasks = map_unordered(kill_own_worker, [tmp_path] * 2, num_workers=2)
    refuses(WorkerError, "killed 3 times, as they are when memory runs out", list, tasks)
    assert len(list(tmp_path.iterdir())) >= 3


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["ray", "dask"])
def test_a_cluster_ends_with_its_run_and_hands_errors_on(backend, tmp_path, monkeypatch):
    with monkeypatch.context() as elsewhere:
        elsewhere.chdir(tmp_path)
        places = map_unordered(Path.absolute, [Path("a")] * 2, num_workers=2, backend=backend)
        assert set(places) == {tmp_path / "a"}
    tasks = map_unordered(refuse, [7, 7], num_workers=2, backend=backend)
    refuses(SourceError, "no 7 here", list, tasks)
    begun = psutil.Process().children(recursive=True)
    assert [p for p in begun if "ray" in p.name() or "spawn_main" in str(p.cmdline())] == []


def test_a_missing_package_is_named(monkeypatch):
    for backend, module in (("ray", "ray"), ("dask", "distributed")):
        monkeypatch.setitem(sys.modules, module, None)
        tasks = map_unordered(abs, [1, 2], num_workers=2, backend=backend)
        refuses(WorkerError, rf"pip install 'ganaug\[{backend}\]'", list, tasks)
