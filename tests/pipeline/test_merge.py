from pathlib import Path

import pytest
from typer.testing import CliRunner

from ganaug.errors import run
from ganaug.fileio import read_json
from pipeline.merge import app
from tests.publishing.small_run import write_run

SHIPPED_PARAMS = Path(__file__).parents[2] / "params.yaml"


def arguments(folder, params):
    names = {"prepared": "", "synthetic": "", "verdict": ".json", "metrics": ".json"}
    paths = {name: folder / f"{name}{suffix}" for name, suffix in names.items()}
    paths |= {"out": folder / "augmented", "params": params}
    return [part for name, path in paths.items() for part in (f"--{name}", str(path))]


def test_writes_dataset_and_metrics_and_says_where(tmp_path):
    write_run(tmp_path)
    result = CliRunner().invoke(app, arguments(tmp_path, SHIPPED_PARAMS), catch_exceptions=False)
    assert result.exit_code == 0
    metrics = read_json(tmp_path / "metrics.json")
    assert metrics.pop("train")["cracked"] == {"real": 3, "synthetic": 6}
    numbers = {"num_real": 20, "num_synthetic": 6}
    assert metrics == {"decision": "ship", "synthetic": "shipped"} | numbers
    assert read_json(tmp_path / "budget.json")["peak_memory_mib"] > 0
    last = result.stdout.splitlines()[-1]
    assert last == f"merge: dataset in {tmp_path / 'augmented'}"


def test_a_verdict_of_no_can_stop_the_pipeline_with_exit_code_2(tmp_path, monkeypatch, capsys):
    write_run(tmp_path, decision="ship_real_only")
    strict = tmp_path / "params.yaml"
    text = SHIPPED_PARAMS.read_text().replace("on_reject: keep_apart", "on_reject: fail")
    strict.write_text(text)
    monkeypatch.setattr("sys.argv", ["merge", *arguments(tmp_path, strict)])
    with pytest.raises(SystemExit) as stopped:
        run(app)
    assert stopped.value.code == 2
    assert capsys.readouterr().err.startswith("error: the verdict does not ship: Synthetic images")
    assert not (tmp_path / "augmented").exists()
    assert not (tmp_path / "metrics.json").exists()
