"""`make studies`: its params and README's table; tests/test_folds.py runs the folds."""

import pytest

from benchmarks import studies
from benchmarks.pages import put_table
from benchmarks.studies import ALL, PARAMS, STUDIES, main, table
from ganaug.config import load_params
from ganaug.errors import GanaugError
from ganaug.fileio import read_json, write_json

DELTA = {"mean_pp": 1.26, "low_pp": -0.5, "high_pp": 3.0}
SPREAD = {"num_groups": 11, "num_repetitions": 6, "spread_groups_pp": 1, "spread_repetitions_pp": 1}
RECALLS = {"cat": DELTA, "dog": DELTA}
CNN = {
    "words": "a small CNN",
    "plain_gain": DELTA,
    "uplift": DELTA | SPREAD,
    "recall_change_pp": RECALLS,
}


def fold(cats):
    return {
        "num_real": {"train": {"cat": cats, "dog": 200}},
        "num_synthetic": {"cat": 9},
        "decision": "undecided",
        "refusals": [],
        "networks": {"cnn": {"chosen_share": 0.2}},
    }


def test_studies_have_params_that_load_and_seeds_enough():
    for name, changes in STUDIES.items():
        assert load_params(PARAMS, ALL | changes).evaluate.num_repetitions >= 6, name


def test_a_study_is_run_once_and_leaves_its_findings(tmp_path, monkeypatch):
    asked = []

    def run_folds(root, number, *, scratch, changes):
        scratch.mkdir(parents=True)
        asked.append((number, changes["prepare.source"]))
        return {"folds": []}

    monkeypatch.setattr(studies, "run_folds", run_folds)
    monkeypatch.setattr(studies, "RESULTS", tmp_path / "results")
    monkeypatch.setattr(studies, "SCRATCH", tmp_path / "scratch")
    monkeypatch.setattr(studies, "table", lambda results: "")
    monkeypatch.setattr(studies, "put_table", lambda *_: None)
    main(["digits", "digits"])
    assert asked == [(studies.NUM_FOLDS, "digits")]
    assert read_json(tmp_path / "results" / "studies" / "digits.json") == {"folds": []}
    assert not list((tmp_path / "scratch").iterdir())
    with pytest.raises(GanaugError, match="no study 'nothing'"):
        main(["nothing"])


def test_the_table_has_a_row_a_classifier_and_says_what_was_not_measured(tmp_path, monkeypatch):
    params = ALL | STUDIES["digits-10"]
    study = {"params": params, "folds": [fold(1000), fold(1100)], "networks": {"cnn": CNN}}
    path = tmp_path / "studies" / "digits-10.json"
    write_json(study, path)
    monkeypatch.setattr(
        studies, "findings", lambda _: fold(1000) | {"networks": {"cnn": CNN | {"uplift": None}}}
    )
    monkeypatch.setattr(studies, "RESULTS", tmp_path)
    heads, _, own, few = table(tmp_path).splitlines()
    assert len(heads.split("|")) == len(own.split("|")) == len(few.split("|"))
    assert own.startswith(
        "| solar cells, the run in `results/` | 1,200 | 1 | small CNN | +1.3 [-0.5, +3.0]"
    )
    assert own.endswith("| none made | Undecided: ship the real images |")
    assert few.startswith("| digits, a tenth | 1,200 to 1,300 | 2 | small CNN |")
    assert few.endswith("| +1.3 [-0.5, +3.0] | Ship |")
    readme = tmp_path / "README.md"
    readme.write_text("a\n<!-- studies -->\nold\n<!-- end of studies -->\nb\n")
    put_table(table(tmp_path), "studies", readme)
    assert readme.read_text() == (
        f"a\n<!-- studies -->\n{table(tmp_path)}<!-- end of studies -->\nb\n"
    )
    write_json(study | {"params": params | {"train.kimg": 1}}, path)
    with pytest.raises(GanaugError, match=r"digits-10\.json is of other params: delete it"):
        table(tmp_path)
