from dataclasses import replace
from pathlib import Path

import pytest
from ruamel.yaml import YAML
from typer.testing import CliRunner

from ganaug import plan
from ganaug import probe as module
from ganaug.cli import app, main
from ganaug.downstream.recipes import ARMS, are_lopsided
from ganaug.errors import DatasetError, GanaugError
from ganaug.fileio import read_json, write_json
from ganaug.plan import describe, estimate, num_classifiers, read_real, savings
from ganaug.probe import Speeds, probe, usual
from ganaug.verdict.comparison import ARM_REPETITIONS
from tests.refusal import refuses

REPOSITORY = Path(__file__).parents[1]
TOY = {"prepare.source": "folder", "prepare.files.name": "toy", "prepare.resolution": 16}
SPEEDS = Speeds(
    shown=0.006,
    flop=1e9,
    draw=0.004,
    features=0.006,
    fit={"cnn": 6e-4, "linear": 5e-5, "efficientnet": 8e-3},
    workers=2,
    mib={"evaluate": 700.0, "train": 800.0},
    state_bytes=10**7,
)


def changed(params, section, **values):
    own = getattr(params, section).model_copy(update=values)
    return params.model_copy(update={section: own})


def minutes(params, prepared, speeds=SPEEDS):
    return {name: cost.minutes for name, cost in estimate(params, prepared, speeds).items()}


def test_training_grows_with_its_budget_and_nothing_else_does(shipped_params, prepared):
    before, after = (
        minutes(changed(shipped_params, "train", kimg=kimg), prepared) for kimg in (100, 300)
    )
    more = {name: after[name] - before[name] for name in after}
    grown = pytest.approx(200_000 * SPEEDS.shown / 60)
    assert more == dict.fromkeys(more, 0) | {"train": grown, "total": grown}


def test_workers_take_a_moment_to_start(shipped_params, prepared):
    at_once = replace(SPEEDS, shown=0.0, draw=0.0, features=0.0, fit=dict.fromkeys(SPEEDS.fit, 0.0))
    for workers in (1, 2):
        found = minutes(shipped_params, prepared, replace(at_once, workers=workers))
        assert (found["generate"] > 0) == (found["evaluate"] > 0) == (workers == 2)


def test_the_probe_takes_the_usual_time_not_the_best(monkeypatch):
    seconds = iter([9.0, 1.0, 3.0])
    monkeypatch.setattr(module, "timed", lambda _: next(seconds))
    assert usual(lambda: None) == 3


def test_evaluate_holds_the_features_of_all_images_and_as_many_of_a_view(shipped_params, prepared):
    held = {}
    for nets in (["cnn"], ["cnn", "linear"]):
        params = changed(shipped_params, "evaluate", networks=nets)
        held[len(nets)] = estimate(params, prepared, SPEEDS)["evaluate"].memory_mib - 700
    assert held[2] == pytest.approx(2 * held[1])
    number = held[1] / (1280 * 4 / 2**20)
    assert number == pytest.approx(round(number))
    assert number > 0


def test_classifiers_are_as_many_as_the_last_run_trained(shipped_params):
    results = REPOSITORY / "results" / "evaluate"
    metrics, verdict = read_json(results / "metrics.json"), read_json(results / "verdict.json")
    e = shipped_params.evaluate
    counts = read_json(REPOSITORY / "results" / "prepare" / "metrics.json")["counts"]["train"]
    for net, facts in metrics["networks"].items():
        chosen = verdict["networks"][net]
        trained = {ARMS[arm].name: own["num_repetitions"] for arm, own in facts["arms"].items()}
        trained |= {chosen[which]["name"]: e.num_repetitions for which in ("without", "with")}
        choice, deciding = num_classifiers(net, e, lopsided=are_lopsided(counts.values()))
        assert choice == sum(own["repetitions"] for own in facts["choice"]["candidates"])
        # An arm that val chose is trained once.
        assert 0 <= deciding - sum(trained.values()) <= ARM_REPETITIONS


def test_every_stage_has_a_row_with_what_it_took_last_time(shipped_params, prepared, tmp_path):
    write_json({"seconds": 90.0, "peak_memory_mib": 1234}, tmp_path / "train" / "budget.json")
    stages = YAML(typ="safe", pure=True).load(REPOSITORY / "dvc.yaml")["stages"]
    text = describe(shipped_params, prepared, SPEEDS, results=tmp_path, gpu="H100")
    rows = {line.split()[0]: line for line in text.splitlines()[: 2 + len(stages)]}
    assert list(rows) == ["stage", *stages, "total"]
    assert rows["train"].endswith("1.5 min, 1,234 MiB")
    assert rows["evaluate"].endswith("-")
    assert f" {minutes(shipped_params, prepared)['train']:.1f} min " in rows["train"]


def test_a_long_run_gets_advice_and_a_short_one_does_not(shipped_params, prepared, tmp_path):
    short, long = (
        describe(shipped_params, prepared, speeds, results=tmp_path, gpu="H100")
        for speeds in (SPEEDS, replace(SPEEDS, shown=0.12))
    )
    assert "too long" not in short
    assert "too long: train.kimg: 22.5 saves 45 min" in long
    slow_network = changed(shipped_params, "evaluate", networks=("cnn", "efficientnet"))
    found = savings(slow_network, prepared, SPEEDS)
    assert max(found, key=found.get) == "evaluate.networks: ['cnn']"


def test_the_probe_measures_every_speed(shipped_params, monkeypatch):
    monkeypatch.setattr("joblib.cpu_count", lambda: 1)
    params = changed(shipped_params, "prepare", resolution=16)
    speeds = probe(changed(params, "train", size="tiny", d_steps_per_g_step=2), 2)
    assert set(speeds.fit) == {"cnn", "linear"}
    times = [speeds.shown, speeds.draw, speeds.features, *speeds.fit.values()]
    assert all(0 < seconds < 60 for seconds in times)
    assert speeds.flop > 1e5
    assert speeds.state_bytes > 1e4
    assert speeds.mib["train"] >= speeds.mib["evaluate"] > 100


def test_the_command_needs_what_prepare_made_of_these_images(
    write_params, prepared_folder, monkeypatch, tmp_path
):
    monkeypatch.setattr("ganaug.probe.probe", lambda _p, num_classes: SPEEDS)
    options = ["--prepared", prepared_folder, "--results", tmp_path]
    command = ["plan", "--params", write_params(TOY), *options]
    shown = CliRunner().invoke(app, list(map(str, command)), catch_exceptions=False)
    assert f"images in {prepared_folder}" in shown.output
    assert "NVIDIA H100" in shown.output


def test_other_images_than_prepared_ones_are_refused(shipped_params, prepared_folder, tmp_path):
    files = shipped_params.prepare.files.model_copy(update={"name": "toy"})
    toy = changed(shipped_params, "prepare", source="folder", files=files, resolution=16).prepare
    assert read_real(prepared_folder, toy).counts["train"] == {"left": 16, "right": 16}
    refuses(DatasetError, "run `dvc repro prepare`", read_real, tmp_path, toy)
    for other in ({"source": "digits"}, {"resolution": 32}, {"channels": 3}):
        params = toy.model_copy(update=other)
        refuses(DatasetError, "run `dvc repro prepare`", read_real, prepared_folder, params)


def test_bad_params_and_an_unknown_gpu_end_in_one_line(write_params, monkeypatch):
    bad = ["plan", "--params", str(write_params({"train.kimg": -1}))]
    monkeypatch.setattr("sys.argv", ["ganaug", *bad])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    other, known = ["plan", "--gpu", "abacus"], f"not one of {', '.join(plan.GPUS)}"
    refuses(GanaugError, known, CliRunner().invoke, app, other, catch_exceptions=False)
