import json

import numpy as np
import pytest

from ganaug.budget import measured, peak_memory_mib


def test_cost_is_written_and_said(tmp_path, capsys):
    with measured("prepare", tmp_path / "budget.json"):
        pass
    content = json.loads((tmp_path / "budget.json").read_text())
    assert set(content) == {"seconds", "peak_memory_mib"}
    assert content["peak_memory_mib"] > 10
    assert capsys.readouterr().out.startswith("prepare: 0.0 s, peak memory ")


def test_failed_stage_writes_no_cost(tmp_path):
    with pytest.raises(ValueError, match="no"), measured("prepare", tmp_path / "budget.json"):
        raise ValueError("no")
    assert not (tmp_path / "budget.json").exists()


def test_peak_memory_grows_with_an_allocation():
    before = peak_memory_mib()
    block = np.ones(int((before + 50) * 2**20), np.uint8)
    assert peak_memory_mib() > before
    del block
