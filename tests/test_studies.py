"""`make studies`, on digits with a tiny budget."""

import subprocess
from pathlib import Path

import pytest

from benchmarks import studies
from benchmarks.studies import ALL, PARAMS, STUDIES, run_study, table, write_table
from ganaug.config import load_params
from ganaug.errors import GanaugError
from ganaug.fileio import read_json, write_json
from tests.small_pipeline import TINY

DELTA = {"mean_pp": 1.26, "low_pp": -0.5, "high_pp": 3.0}
CNN = {
    "words": "a small CNN",
    "without": {"words": "classes drawn equally often"},
    "with": {"words": "20% synthetic"},
    "plain_gain": DELTA,
    "uplift": DELTA,
    "recall_change_pp": {},
}


@pytest.mark.parametrize("name", STUDIES)
def test_studies_have_params_that_load_and_seeds_enough(name):
    assert load_params(PARAMS, ALL | STUDIES[name]).evaluate.num_repetitions >= 6


def test_a_stopped_study_goes_on_with_its_stage(tmp_path, monkeypatch):
    ran = []

    def run(command, *, cwd, **_):
        stage = command[2].removeprefix("pipeline.")
        ran.append(stage)
        if ran == ["prepare", "train", "generate"]:
            return subprocess.CompletedProcess(command, 2)
        write_json({}, cwd / "results" / stage / "budget.json")
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setattr(studies.subprocess, "run", run)
    monkeypatch.setattr(studies, "findings", lambda results: {})
    with pytest.raises(GanaugError, match="the stage generate failed"):
        run_study({"seed": 1}, tmp_path)
    assert run_study({"seed": 1}, tmp_path) == {"params": {"seed": 1}}
    assert ran == ["prepare", "train", "generate", "generate", "evaluate"]
    run_study({"seed": 2}, tmp_path)  # other params begin anew
    assert ran[5:] == list(studies.STAGES)


def test_the_table_has_a_row_a_file_and_says_what_was_not_measured(tmp_path, monkeypatch):
    facts = {
        "num_real": {"train": {"cat": 1000, "dog": 200}},
        "decision": "ship",
        "networks": {"cnn": CNN | {"with": None, "uplift": None}},
    }
    write_json(facts, tmp_path / "studies" / "few.json")
    monkeypatch.setattr(
        studies,
        "findings",
        lambda results: facts | {"decision": "undecided", "networks": {"cnn": CNN}},
    )
    monkeypatch.setattr(studies, "RESULTS", tmp_path)
    heads, _, own, few = table(tmp_path).splitlines()
    assert len(heads.split("|")) == len(few.split("|"))
    assert own.startswith("| elpv | 1,200 | small CNN | classes drawn equally often | +1.3 [-0.5")
    assert own.endswith("| 20% synthetic | +1.3 [-0.5, +3.0] | Undecided: ship the real images |")
    assert few.endswith("| none made | none made | Ship |")
    readme = tmp_path / "README.md"
    readme.write_text("a\n<!-- studies -->\nold\n<!-- end of studies -->\nb\n")
    write_table(readme)
    assert readme.read_text() == (
        f"a\n<!-- studies -->\n{table(tmp_path)}<!-- end of studies -->\nb\n"
    )


@pytest.mark.slow
def test_a_study_runs_from_the_source_to_the_verdict(tmp_path, monkeypatch):
    few = {"prepare.train_fraction": 0.1, "generate.amount": 2}
    monkeypatch.setattr(studies, "STUDIES", {"tiny": TINY | few})
    monkeypatch.setattr(studies, "RESULTS", tmp_path / "results")
    monkeypatch.setattr(studies, "SCRATCH", tmp_path / "scratch")
    monkeypatch.setattr(studies, "write_table", lambda readme: None)
    studies.main(["tiny"])
    found = read_json(tmp_path / "results" / "studies" / "tiny.json")
    assert max(found["num_real"]["train"].values()) < 20
    assert set(found["networks"]) == {"cnn", "linear"}
    assert {"low_pp", "high_pp"} <= set(found["networks"]["cnn"]["uplift"])
    assert found["class_mean"]["floor"]["kid"] is not None
    assert set(found["seconds"]) == set(studies.STAGES)
    assert not list(Path(tmp_path / "scratch").iterdir())
