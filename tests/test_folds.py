import subprocess

import numpy as np
import pandas as pd
import pytest

from ganaug import folds
from ganaug.config import load_params
from ganaug.downstream.recipes import ARMS, PLAIN, TEACHER, Recipe
from ganaug.errors import GanaugError
from ganaug.fileio import read_json, write_json
from ganaug.folds import judge_together, run_folds
from tests.small_pipeline import REPOSITORY, TINY

LABELS = np.arange(40) % 2
MIXED = Recipe(share=0.5)


def test_a_stopped_run_goes_on_with_its_stage_and_other_params_begin_anew(tmp_path, monkeypatch):
    ran = []

    def run(command, *, cwd, **_):
        stage = command[2].removeprefix("pipeline.")
        fold = load_params(cwd / "params.yaml").prepare.fold
        ran.append((fold, stage))
        if ran[-1] == (1, "train") and ran.count((1, "train")) == 1:
            return subprocess.CompletedProcess(command, 2)
        write_json({}, cwd / "results" / stage / "budget.json")
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setattr(folds.subprocess, "run", run)
    monkeypatch.setattr(folds, "findings", lambda results: {})
    monkeypatch.setattr(folds, "judge_together", lambda folders, params: {})
    monkeypatch.setattr(folds, "decide_together", lambda found, networks, params: {})
    with pytest.raises(GanaugError, match="the stage train failed"):
        run_folds(REPOSITORY, 2, scratch=tmp_path, changes={"seed": 1})
    found = run_folds(REPOSITORY, 2, scratch=tmp_path, changes={"seed": 1})
    assert found == {"params": {"seed": 1}, "folds": [{}, {}], "networks": {}}
    first, second = ([stage for fold, stage in ran if fold == number] for number in (0, 1))
    assert first == list(folds.STAGES)
    assert second == ["prepare", "train", "train", "generate", "evaluate"]
    run_folds(REPOSITORY, 1, scratch=tmp_path, changes={"seed": 2})
    assert ran[9:] == [(0, stage) for stage in folds.STAGES]


@pytest.fixture
def fold_of(tmp_path, monkeypatch):
    """Write what a fold leaves; `wrong` is how many images each role's classifiers get wrong."""
    monkeypatch.setattr(folds, "read_prepared", lambda _: type("P", (), {"classes": ("a", "b")}))

    def write(number, wrong, *, chosen):
        roles = {"plain": PLAIN, "without": chosen["without"], "with": chosen["with"]}
        rows = []
        for role, recipe in roles.items():
            if recipe is None:
                continue
            for repetition in range(3):
                predicted = LABELS.copy()
                predicted[: wrong[role] + repetition % 2] ^= 1
                rows.append(
                    pd.DataFrame(
                        {
                            "network": "cnn",
                            "recipe": recipe.name,
                            "repetition": repetition,
                            "group_id": [f"{number}-{i // 4}" for i in range(len(LABELS))],
                            "label": LABELS,
                            "predicted": predicted,
                        }
                    )
                )
        folder = tmp_path / str(number)
        results = folder / "results" / "evaluate"
        results.mkdir(parents=True)
        pd.concat(rows).to_parquet(results / "predictions.parquet")
        names = {k: r and {"name": r.name} for k, r in roles.items()}
        write_json(
            {"networks": {"cnn": {"words": "a small CNN", **names}}}, results / "verdict.json"
        )
        return folder

    return write


def test_folds_are_judged_as_one_test_split_whatever_each_chose(fold_of, shipped_params):
    def decide(networks, shares, *, passed=(True, True)):
        found = [
            {
                "networks": {"cnn": {"chosen_share": share}},
                "copying_passed": ok,
                "num_synthetic": {"a": 5},
            }
            for share, ok in zip(shares, passed, strict=True)
        ]
        return folds.decide_together(found, {"cnn": networks[0]}, shipped_params)

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
    assert decide([both], [0.2, 0.0])["decision"] == "ship"
    assert decide([both], [0.0, 0.0])["decision"] == "ship_real_only"  # val gave them to nobody
    copied = decide([both], [0.2, 0.2], passed=(True, False))
    assert copied["decision"] == "ship_real_only"
    assert "fold 1" in copied["reasons"][0]
    worse = {**both, "recall_change_pp": {"a": {"mean_pp": -9, "low_pp": -12, "high_pp": -6}}}
    assert "Class a" in decide([worse], [0.2, 0.2])["reasons"][0]


@pytest.mark.slow
def test_folds_run_from_the_source_to_one_answer(tmp_path):
    changes = TINY | {
        "prepare.train_fraction": 0.1,
        "generate.amount": 2,
        "evaluate.networks": ["cnn"],
    }
    found = run_folds(REPOSITORY, 2, scratch=tmp_path, changes=changes)
    assert [set(fold["seconds"]) for fold in found["folds"]] == [set(folds.STAGES)] * 2
    tests = [set(pd.read_parquet(p)["image_id"]) for p in tmp_path.rglob("predictions.parquet")]
    assert len(tests) == 2
    assert tests[0].isdisjoint(tests[1])
    assert {"mean_pp", "low_pp", "high_pp"} <= set(found["networks"]["cnn"]["uplift"])
    metrics = [read_json(p) for p in tmp_path.rglob("results/evaluate/metrics.json")]
    assert all(m["distances"]["floor"]["class_mean"]["kid"] is not None for m in metrics)
