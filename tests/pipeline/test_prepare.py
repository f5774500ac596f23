import hashlib
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from ganaug.errors import run
from ganaug.fileio import read_json
from ganaug.preparing.prepared import read_prepared
from pipeline.prepare import app
from tests.toy_source import toy_source


@pytest.fixture
def invoke(tmp_path, write_params):
    def command(name="out", **changes):
        digits = {"prepare.source": "digits", "prepare.resolution": 16}
        params = write_params(digits | changes)
        arguments = ["--out", tmp_path / name, "--metrics", tmp_path / f"{name}.json"]
        return CliRunner().invoke(app, [str(a) for a in [*arguments, "--params", params]])

    return command


def digests(folder):
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in folder.iterdir()}


def test_the_stage_writes_shards_and_metrics_and_says_one_line(invoke, tmp_path):
    result = invoke()
    assert result.exit_code == 0, result.output
    prepared = read_prepared(tmp_path / "out")
    metrics = read_json(tmp_path / "out.json")
    assert metrics["counts"] == prepared.counts
    assert metrics["num_images"] == {"read": 1797, "accepted": 1797, "rejected": 0, "left_out": 0}
    assert result.stdout.splitlines()[-1] == f"prepare: {prepared.summary()} -> {tmp_path / 'out'}"
    assert [line.split(",")[0] for line in result.stderr.splitlines()] == ["read: 1024 images"]


def test_the_stage_starts_without_torch():
    code = "import sys, pipeline.prepare; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_second_run_is_byte_identical_and_warnings_go_to_stderr(invoke, tmp_path, monkeypatch):
    monkeypatch.setattr("ganaug.preparing.prepare.load_source", lambda params: toy_source())
    for name in ("a", "b"):
        result = invoke(name)
        assert result.exit_code == 0
        assert result.stderr.startswith("warning: class 'left' has 32 distinct images;")
        assert len(result.stdout.splitlines()) == 2
    assert digests(tmp_path / "a") == digests(tmp_path / "b")
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()


def test_bad_params_end_the_command_in_one_line_and_code_2(tmp_path, write_params, capsys):
    params = write_params({"prepare.resolution": 17})
    arguments = ["--out", tmp_path / "out", "--metrics", tmp_path / "m", "--params", params]
    with pytest.raises(SystemExit) as stopped:
        run(lambda: app([str(argument) for argument in arguments]))
    assert stopped.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ")
    assert "prepare.resolution" in line
    assert [p.name for p in tmp_path.iterdir()] == ["params.yaml"]
