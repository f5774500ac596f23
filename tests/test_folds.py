import shutil

import numpy as np
import pandas as pd
import pytest

from ganaug import folds
from ganaug.config import load_params
from ganaug.curating.reviews import read_reviews
from ganaug.downstream.recipes import ARMS, PLAIN, TEACHER, Recipe
from ganaug.errors import GanaugError
from ganaug.fileio import write_json
from ganaug.folds import judge_together, run_folds
from tests.refusal import refuses
from tests.small_pipeline import REPOSITORY, make_clone

LABELS = np.arange(40) % 2
MIXED = Recipe(share=0.5)


def test_all_folds_are_prepared_before_one_trains_each_with_params_of_its_own(
    tmp_path, monkeypatch
):
    ran = []
    monkeypatch.setattr(folds, "_reproduce", lambda stage, folder: ran.append((stage, folder.name)))
    for name in ("findings", "judge_together", "decide_together"):
        monkeypatch.setattr(folds, name, lambda *_: {})
    changes = {"prepare.source": "folder", "prepare.files.path": "photos"}
    found = run_folds(REPOSITORY, 2, scratch=tmp_path, changes=changes)
    assert found == {"params": changes, "folds": [{}, {}], "networks": {}}
    both = ["fold-0", "fold-1"]
    assert ran == [("prepare", n) for n in both] + [("evaluate", n) for n in both]
    for number, name in enumerate(both):
        params = load_params(tmp_path / name / "params.yaml").prepare
        assert params.fold == number
        assert params.files.path == str(REPOSITORY / "photos")
        assert (tmp_path / name / "src" / "ganaug" / "folds.py").is_file()
        assert read_reviews(tmp_path / name / "data" / "review.csv", ()) == []


def test_a_stage_that_fails_ends_the_command_in_one_line(tmp_path):
    changes = {"prepare.source": "folder", "prepare.files.path": str(tmp_path / "nowhere")}
    match = r"fold-0: the stage prepare .* failed"
    refuses(GanaugError, match, run_folds, REPOSITORY, 2, scratch=tmp_path, changes=changes)


def test_a_stage_that_dvc_took_from_its_cache_has_no_time(tmp_path):
    shutil.copytree(REPOSITORY / "results", tmp_path, dirs_exist_ok=True)
    (tmp_path / "prepare" / "budget.json").unlink(missing_ok=True)
    write_json({"seconds": 7.0}, tmp_path / "train" / "budget.json")
    seconds = folds.findings(tmp_path)["seconds"]
    assert "prepare" not in seconds
    assert seconds["train"] == 7.0


@pytest.fixture
def fold_of(tmp_path, monkeypatch):
    """Write what a fold leaves; `wrong` is how many images each role's classifiers get wrong."""
    monkeypatch.setattr(folds, "read_prepared", lambda _: type("P", (), {"classes": ("a", "b")}))

    def write(number, wrong, *, chosen):
        roles = {"plain": PLAIN, "without": chosen["without"], "with": chosen["with"]}
        images = np.arange(len(LABELS))
        groups = [f"{number}-{i // 4}" for i in images]
        rows = pd.DataFrame({"label": LABELS, "group_id": groups})
        rows["image_id"] = [f"{number}-image-{i}" for i in images]
        said = []
        for role, recipe in roles.items():
            for repetition in range(3 if recipe else 0):
                mistaken = images < wrong[role] + repetition % 2
                own = rows.assign(network="cnn", recipe=recipe.name, repetition=repetition)
                said.append(own.assign(predicted=LABELS ^ mistaken))
        folder = tmp_path / str(number)
        results = folder / "results" / "evaluate"
        results.mkdir(parents=True)
        pd.concat(said).to_parquet(results / "predictions.parquet")
        names = {k: r and {"name": r.name} for k, r in roles.items()}
        write_json(
            {"networks": {"cnn": {"words": "a small CNN", **names}}}, results / "verdict.json"
        )
        return folder

    return write


def test_folds_are_judged_as_one_test_split_whatever_each_chose(fold_of, shipped_params):
    def decide(facts, shares, *, refusals=()):
        found = [
            {
                "networks": {"cnn": {"chosen_share": share}},
                "refusals": list(refusals),
                "num_synthetic": {"a": 5},
            }
            for share in shares
        ]
        return folds.decide_together(found, {"cnn": facts}, shipped_params)

    evaluate = shipped_params.evaluate.model_copy(update={"networks": ("cnn",)})
    params = shipped_params.model_copy(update={"evaluate": evaluate})
    one = fold_of(
        0, {"plain": 8, "without": 8, "with": 0}, chosen={"without": TEACHER, "with": MIXED}
    )
    other = fold_of(
        1, {"plain": 8, "without": 4, "with": None}, chosen={"without": ARMS["B"], "with": None}
    )
    alone = judge_together([one], params)["cnn"]
    both = judge_together([one, other], params)["cnn"]
    assert alone["uplift"]["mean_pp"] == pytest.approx(20, abs=2)
    assert alone["plain_gain"]["mean_pp"] == 0
    assert both["uplift"]["mean_pp"] == pytest.approx(10, abs=2)  # nothing in the second
    assert both["plain_gain"]["mean_pp"] == pytest.approx(5, abs=2)
    assert both["uplift"]["num_groups"] == 2 * alone["uplift"]["num_groups"] == 20
    assert set(both["recall_change_pp"]) == {"a", "b"}
    assert decide(both, [0.2, 0.0])["decision"] == "ship"
    assert decide(both, [0.0, 0.0])["decision"] == "ship_real_only"  # val gave them to nobody
    copied = decide(both, [0.2], refusals=["Copies of training images show."])
    assert copied["decision"] == "ship_real_only"
    assert copied["reasons"][0] == "Fold 0: Copies of training images show."
    worse = {**both, "recall_change_pp": {"a": {"mean_pp": -9, "low_pp": -12, "high_pp": -6}}}
    assert "Class a" in decide(worse, [0.2])["reasons"][0]
    refuses(GanaugError, "two folds test the same group", judge_together, [one, one], params)


@pytest.mark.slow
def test_folds_run_from_the_source_to_one_answer_and_not_twice(tmp_path):
    make_clone(tmp_path / "clone")
    changes = {"prepare.train_fraction": 0.1, "generate.amount": 2, "evaluate.networks": ["cnn"]}
    scratch = tmp_path / "scratch"
    found = run_folds(tmp_path / "clone", 2, scratch=scratch, changes=changes)
    assert [set(fold["seconds"]) for fold in found["folds"]] == [set(folds.STAGES)] * 2
    tests = [set(pd.read_parquet(p)["image_id"]) for p in scratch.rglob("predictions.parquet")]
    assert len(tests) == 2
    assert tests[0].isdisjoint(tests[1])
    assert {"mean_pp", "low_pp", "high_pp"} <= set(found["networks"]["cnn"]["uplift"])
    assert all(fold["class_mean"]["floor"]["kid"] is not None for fold in found["folds"])
    written = {p: p.stat().st_mtime_ns for p in scratch.rglob("budget.json")}
    assert run_folds(tmp_path / "clone", 2, scratch=scratch, changes=changes) == found
    assert {p: p.stat().st_mtime_ns for p in scratch.rglob("budget.json")} == written
