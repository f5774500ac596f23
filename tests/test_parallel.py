import subprocess
import sys
import time

import psutil
import pytest

from ganaug.parallel import map_unordered

SLEEPERS = """
import time
from ganaug.parallel import map_unordered
print(list(map_unordered(time.sleep, [0, 0], num_workers=2)), flush=True)
list(map_unordered(time.sleep, [60, 60], num_workers=2))
"""


@pytest.mark.parametrize("num_workers", [1, 2])
def test_every_task_is_done_once(num_workers):
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
