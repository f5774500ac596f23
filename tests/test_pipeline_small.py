"""The whole pipeline under DVC, in a temporary clone, on digits with a tiny budget."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ganaug.cli import app
from ganaug.config import change_params
from ganaug.fileio import sha256_file
from tests.small_pipeline import REPOSITORY, dvc, environment, python
from tests.versioned import git

STAGES = ("prepare", "train", "generate", "evaluate", "merge", "report")

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("pipeline")]


def test_repro_takes_less_than_two_minutes_of_two_cores(finished):
    assert 10 < finished[1] < 2 * 120  # by the clock it would depend on what else the machine does


def test_a_second_run_does_nothing_and_metrics_and_plots_can_be_shown(finished):
    folder, _ = finished
    assert "up to date" in dvc(folder, "status").stdout
    again = dvc(folder, "repro")
    assert "Running stage" not in again.stdout
    assert again.returncode == 0
    metrics = json.loads(dvc(folder, "metrics", "show", "--json").stdout)[""]["data"]
    assert {f"results/evaluate/{name}.json" for name in ("metrics", "budget")} <= set(metrics)
    assert dvc(folder, "plots", "show").returncode == 0
    assert (folder / "dvc_plots" / "index.html").exists()


def test_summary_names_the_verdict_and_the_places(finished, monkeypatch):
    monkeypatch.chdir(finished[0])
    output = CliRunner().invoke(app, ["summary"], catch_exceptions=False).output
    verdict = json.loads(Path("results/evaluate/verdict.json").read_text())
    assert verdict["sentence"] in output
    assert "data/augmented" in output
    assert "results/report/report.html" in output


@pytest.mark.parametrize("backend", ["ray", "dask"])
def test_all_stages_write_the_same_bytes_on_a_cluster(finished, tmp_path, backend):
    folder = shutil.copytree(finished[0], tmp_path / "clone")
    shutil.rmtree(folder / ".ganaug")  # features and checkpoints of the other run
    lock = (folder / "dvc.lock").read_text()
    change_params(folder / "params.yaml", {"backend": backend})
    result = dvc(folder, "repro", "--force")
    assert result.returncode == 0, result.stdout + result.stderr
    assert re.findall(r"Running stage '(\w+)'", result.stdout) == list(STAGES)
    assert (folder / "dvc.lock").read_text() == lock  # the hashes of all outputs


def test_sigkill_in_training_costs_only_time(finished):
    """Killed with its whole process group, `dvc repro` goes on where the last state was saved."""
    folder, _ = finished
    lock = (folder / "dvc.lock").read_text()
    straight = sha256_file(folder / "models/generator/generator.safetensors")
    states = folder / ".ganaug" / "checkpoints"
    again = ("repro", "--force", "--single-item", "train")
    command, silent = [sys.executable, "-m", "dvc", *again], subprocess.DEVNULL
    options = {"start_new_session": True, "stdout": silent, "stderr": silent}
    killed = subprocess.Popen(command, cwd=folder, env=environment(folder), **options)
    wait_for(lambda: any(states.glob("*/0*.safetensors")))
    os.killpg(killed.pid, signal.SIGKILL)
    killed.wait()
    result = dvc(folder, *again)
    assert result.returncode == 0, result.stdout + result.stderr
    resumed = re.search(r"train: resumed from (\d+) images", result.stderr + result.stdout)
    assert resumed
    assert int(resumed[1]) > 0
    assert sha256_file(folder / "models/generator/generator.safetensors") == straight
    assert (folder / "dvc.lock").read_text() == lock


def test_publish_makes_again_what_the_remote_lacks(finished, tmp_path):
    """In a clean clone, from a remote without the data of the last two stages."""
    folder = shutil.copytree(finished[0], tmp_path / "clone")
    lock = (folder / "dvc.lock").read_text()
    dvc(folder, "remote", "add", "--default", "here", str(tmp_path / "remote"))
    assert dvc(folder, "push", "prepare", "train", "generate", "evaluate").returncode == 0
    subprocess.run(["git", "clean", "-dfXq"], cwd=folder, check=True)  # all that Git does not hold
    makefile = (REPOSITORY / "Makefile").read_text()
    repro = re.search(r"^publish:.*\n.*/dvc (repro.*)$", makefile, flags=re.MULTILINE)[1]
    result = dvc(folder, *repro.split())
    assert result.returncode == 0, result.stdout + result.stderr
    assert re.findall(r"Running stage '(\w+)'", result.stdout) == ["merge", "report"]
    assert (folder / "dvc.lock").read_text() == lock
    assert dvc(folder, "push", "data/augmented").stdout.strip().endswith("pushed")


def wait_for(condition, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)


def test_bad_param_stops_with_one_line_and_exit_code_2(clone):
    original = (clone / "params.yaml").read_text()
    try:
        (clone / "params.yaml").write_text(original.replace("resolution:", "resolutoin:"))
        result = python(clone, "-m", "pipeline.prepare", "--out", "x", "--metrics", "x.json")
    finally:
        (clone / "params.yaml").write_text(original)
    assert result.returncode == 2
    assert "did you mean 'resolution'" in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert not (clone / "x").exists()


def test_sweep_ranks_a_grid_by_its_figures_on_val(finished):
    folder, _ = finished
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", "Finish")
    result = python(folder, "-m", "benchmarks.sweep", "train.lr=5e-4,2e-3")
    assert result.returncode == 0, result.stdout + result.stderr
    header, *rows = [line.split() for line in result.stdout.splitlines()[-3:]]
    assert header[:3] == ["experiment", "train.lr", "kid"]
    assert {row[1] for row in rows} == {"0.0005", "0.002"}
    assert float(rows[0][2]) <= float(rows[1][2])


def test_freshness_gate_names_what_changed_and_needs_no_data(finished, tmp_path):
    folder, gate = finished[0], str(REPOSITORY / ".ci" / "fresh.py")
    assert python(folder, gate).returncode == 0
    shutil.move(folder / "data/augmented", tmp_path / "augmented")
    file, params = folder / "src/ganaug/gan/losses.py", folder / "params.yaml"
    before = file.read_text(), params.read_text()
    try:
        assert python(folder, gate).returncode == 0
        file.write_text(before[0] + "\n")
        params.write_text(before[1].replace("num_steps: 20", "num_steps: 21"))
        result = python(folder, gate)
    finally:
        shutil.move(tmp_path / "augmented", folder / "data/augmented")
        file.write_text(before[0])
        params.write_text(before[1])
    assert result.returncode == 1
    assert "stale: train: src/ganaug/gan modified" in result.stdout
    assert "stale: evaluate: params.yaml: evaluate modified" in result.stdout
    assert "run `make repro`" in result.stderr
