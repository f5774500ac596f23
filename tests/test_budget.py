import json
import subprocess
import sys
import time

import numpy as np
import pytest

from ganaug.budget import measured, peak_memory_mib

BURN = "import time\nwhile time.process_time() < 0.4: pass"


def test_cost_is_written_and_said_unless_the_stage_fails(tmp_path, capsys):
    path = tmp_path / "budget.json"
    with pytest.raises(ValueError, match="no"), measured("prepare", path):
        raise ValueError("no")
    assert not path.exists()
    with measured("prepare", path):
        end = time.process_time() + 0.2
        while time.process_time() < end:
            pass
        subprocess.run([sys.executable, "-c", BURN], check=True)
    content = json.loads(path.read_text())
    assert set(content) == {"seconds", "core_seconds", "worker_core_seconds", "peak_memory_mib"}
    assert content["peak_memory_mib"] > 10
    assert content["core_seconds"] == pytest.approx(0.2, abs=0.15)
    assert 0.3 <= content["worker_core_seconds"] < 2
    assert capsys.readouterr().out.startswith("prepare: ")


def test_the_memory_of_a_worker_that_lives_counts():
    before = peak_memory_mib()
    code = f"x = bytearray({int(before + 60)} << 20); x[::4096] = x[::4096]; print(); input()"
    command = [sys.executable, "-uc", code]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as worker:
        worker.stdout.readline()
        assert peak_memory_mib() > before + 50
        worker.kill()


def test_peak_memory_grows_with_an_allocation():
    before = peak_memory_mib()
    block = np.ones(int((before + 50) * 2**20), np.uint8)
    assert peak_memory_mib() > before
    del block
