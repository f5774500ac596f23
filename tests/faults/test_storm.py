"""The storm in small: a few tries of each kind; `make storm` does them by the thousand."""

import os
import subprocess
import sys

import pytest


def storm(repository, folder, part, share):
    """Run a share of a part in a process of its own, whose memory is the storm's alone."""
    code = f"{repository / 'src'}{os.pathsep}{repository}"
    own = {"PYTHONPATH": code, "STORM_SHARE": str(share)}
    command = [sys.executable, "-m", "benchmarks.storm", part]
    done = subprocess.run(
        command, cwd=folder, env=os.environ | own, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "LOST" not in done.stdout
    return [row.split(" | ")[:4] for row in done.stdout.splitlines() if row.startswith("| ")]


def test_every_bad_file_is_accounted_for(repository, tmp_path):
    rows = storm(repository, tmp_path, "files", 0.004)
    assert len(rows) == 10
    assert all(int(tried) == int(survived) > 0 for _, tried, survived, _ in rows)


@pytest.mark.slow
@pytest.mark.parametrize(("part", "share"), [("kills", 0.01), ("between", 0.02)])
def test_kills_and_changed_files_lose_nothing(repository, tmp_path, part, share):
    rows = storm(repository, tmp_path, part, share)
    assert rows
    assert all(int(tried) == int(survived) > 0 for _, tried, survived, _ in rows)
