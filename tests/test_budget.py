import json

import numpy as np
import pytest

from ganaug.budget import measured, peak_memory_mib


def test_cost_is_written_and_said_unless_the_stage_fails(tmp_path, capsys):
    path = tmp_path / "budget.json"
    with pytest.raises(ValueError, match="no"), measured("prepare", path):
        raise ValueError("no")
    assert not path.exists()
    with measured("prepare", path):
        pass
    content = json.loads(path.read_text())
    assert set(content) == {"seconds", "core_seconds", "worker_core_seconds", "peak_memory_mib"}
    assert content["peak_memory_mib"] > 10
    assert capsys.readouterr().out.startswith("prepare: 0.0 s, peak memory ")


def test_peak_memory_grows_with_an_allocation():
    before = peak_memory_mib()
    block = np.ones(int((before + 50) * 2**20), np.uint8)
    assert peak_memory_mib() > before
    del block
