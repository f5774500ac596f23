from dataclasses import replace
from pathlib import Path

import pytest
from ruamel.yaml import YAML
from typer.testing import CliRunner

from ganaug import plan
from ganaug.cli import app, main
from ganaug.downstream.recipes import ARMS
from ganaug.errors import GanaugError, ParamsError, SourceError
from ganaug.fileio import read_json, write_json
from ganaug.plan import Images, count_images, describe, estimate, num_classifiers, savings
from ganaug.probe import Speeds, probe
from ganaug.verdict.evidence import ARM_REPETITIONS
from tests.refusal import refuses

REPOSITORY = Path(__file__).parents[1]
CLASSES = {"good": 300, "bad": 100}
IMAGES = Images({"train": CLASSES, "val": CLASSES, "test": CLASSES}, "1,200 images", 2000.0, 1e-3)
SPEEDS = Speeds(
    step=0.1,
    setup=0.0,
    flop=2e10,
    kernels=2000.0,
    draw=0.004,
    filter_step=0.04,
    features={96: 0.006, 64: 0.003},
    view=3e-4,
    fit={"cnn": 0.018, "linear": 5e-5, "efficientnet": 0.24},
    score={"cnn": 1e-3, "linear": 0.0, "efficientnet": 0.01},
    workers=2,
    mib={"light": 200.0, "generate": 500.0, "evaluate": 700.0, "worker": 500.0, "train": 800.0},
    generator_bytes=10**6,
    state_bytes=10**7,
)
SLOW = replace(SPEEDS, step=2.0)


def changed(params, section, **values):
    own = getattr(params, section).model_copy(update=values)
    return params.model_copy(update={section: own})


def minutes(params, speeds=SPEEDS):
    return {name: cost.minutes for name, cost in estimate(params, IMAGES, speeds).items()}


def text(params, folder, *, speeds=SPEEDS):
    return describe(params, IMAGES, speeds, results=folder, gpu="H100")


def test_training_grows_with_its_budget_and_nothing_else_does(shipped_params):
    evaluations = {"num_evaluations": 1}
    once = changed(shipped_params, "train", kimg=100, **evaluations)
    thrice = changed(shipped_params, "train", kimg=300, **evaluations)
    before, after = minutes(once), minutes(thrice)
    assert after["train"] / before["train"] == pytest.approx(3, rel=0.02)
    assert after["train"] - before["train"] == pytest.approx(200_000 / 16 * SPEEDS.step / 60)
    assert {n: t for n, t in before.items() if n != "train"} == {
        n: t for n, t in after.items() if n != "train"
    }


def test_more_repetitions_mean_more_classifiers_on_test_alone(shipped_params):
    e = shipped_params.evaluate
    few, many = (num_classifiers("cnn", e.networks, e.shares, n) for n in (6, 12))
    assert many[0] == few[0]
    assert many[1] - few[1] == 3 * 6  # plain training, the best without, the best with
    twice = changed(shipped_params, "evaluate", num_repetitions=12)
    assert minutes(twice)["evaluate"] > minutes(shipped_params)["evaluate"]


def test_classifiers_are_as_many_as_the_last_run_trained(shipped_params):
    results = REPOSITORY / "results" / "evaluate"
    metrics, verdict = read_json(results / "metrics.json"), read_json(results / "verdict.json")
    e = shipped_params.evaluate
    for net, facts in metrics["networks"].items():
        chosen = verdict["networks"][net]
        trained = {ARMS[arm].name: own["num_repetitions"] for arm, own in facts["arms"].items()}
        trained |= {chosen[which]["name"]: e.num_repetitions for which in ("without", "with")}
        choice, deciding = num_classifiers(net, e.networks, e.shares, e.num_repetitions)
        assert choice == sum(own["repetitions"] for own in facts["choice"]["candidates"])
        # An arm that val chose is trained once.
        assert 0 <= deciding - sum(trained.values()) <= ARM_REPETITIONS


def test_every_stage_has_a_row_with_what_it_took_last_time(shipped_params, tmp_path):
    write_json({"seconds": 90.0, "peak_memory_mib": 1234}, tmp_path / "train" / "budget.json")
    stages = YAML(typ="safe", pure=True).load(REPOSITORY / "dvc.yaml")["stages"]
    lines = text(shipped_params, tmp_path).splitlines()
    rows = {line.split()[0]: line for line in lines[: 2 + len(stages)]}
    assert list(rows) == ["stage", *stages, "total"]
    assert rows["train"].endswith("1.5 min, 1,234 MiB")
    assert rows["evaluate"].endswith("-")
    assert f" {minutes(shipped_params)['train']:.1f} min (" in rows["train"]


def test_a_long_run_gets_advice_and_a_short_one_does_not(shipped_params, tmp_path):
    assert "too long" not in text(shipped_params, tmp_path)
    advice = text(shipped_params, tmp_path, speeds=SLOW)
    assert "too long: train.kimg: 22.5 saves " in advice
    saved = savings(shipped_params, IMAGES, SLOW)
    halved = changed(shipped_params, "train", kimg=22.5)
    assert saved["train.kimg: 22.5"] == pytest.approx(
        sum(minutes(shipped_params, SLOW).values()) - sum(minutes(halved, SLOW).values())
    )
    with_slow_network = changed(shipped_params, "evaluate", networks=("cnn", "efficientnet"))
    found = savings(with_slow_network, IMAGES, SPEEDS)
    assert max(found, key=found.get) == "evaluate.networks without efficientnet"


def test_images_are_counted_in_the_source_or_in_what_prepare_wrote(
    shipped_params, prepared_folder, tmp_path
):
    digits = {"source": "digits", "resolution": 16}
    own = changed(shipped_params, "prepare", **digits).prepare
    found = count_images(own, tmp_path / "none")
    assert found.total == 1797
    assert found.of("test") == pytest.approx(0.25 * 1797, rel=0.02)
    thin = own.model_copy(update={"train_fraction": 0.1, "keep_train": {"3": 5}})
    thinned = count_images(thin, tmp_path / "none")
    assert thinned.counts["train"]["3"] == 5
    assert thinned.counts["test"] == found.counts["test"]
    files = shipped_params.prepare.files.model_copy(update={"name": "toy"})
    toy = own.model_copy(update={"source": "folder", "files": files})
    assert count_images(toy, prepared_folder).counts["train"] == {"left": 16, "right": 16}
    away = toy.model_copy(update={"files": files.model_copy(update={"path": "s3://far/away"})})
    assert "assumed" in count_images(away, tmp_path / "none").where
    missing = toy.model_copy(update={"files": files.model_copy(update={"path": "no/such"})})
    refuses(SourceError, "no/such", count_images, missing, tmp_path / "none")


def test_the_probe_measures_every_speed(shipped_params):
    params = changed(shipped_params, "prepare", resolution=16)
    params = changed(params, "train", size="tiny", d_steps_per_g_step=2)
    speeds = probe(params, ["a", "b"], num_images=40, num_workers=1)
    times = [speeds.step, speeds.setup, speeds.draw, speeds.filter_step, speeds.view]
    times += [*speeds.features.values(), *speeds.fit.values(), speeds.score["cnn"]]
    assert all(0 < seconds < 60 for seconds in times)
    assert set(speeds.fit) == {"cnn", "linear"}
    assert set(speeds.features) == {96, 64}
    assert speeds.flop > 1e6
    assert speeds.kernels > 100
    assert speeds.state_bytes > 3 * speeds.generator_bytes
    assert all(cost.minutes > 0 for cost in estimate(params, IMAGES, speeds).values())


def test_bad_params_and_an_unknown_gpu_end_in_one_line(write_params, monkeypatch):
    monkeypatch.setattr("ganaug.probe.probe", None)  # not reached
    bad = ["plan", "--params", str(write_params({"train.kimg": -1}))]
    invoke = CliRunner().invoke
    refuses(ParamsError, "train.kimg", invoke, app, bad, catch_exceptions=False)
    monkeypatch.setattr("sys.argv", ["ganaug", *bad])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    other = ["plan", "--gpu", "abacus", "--params", str(REPOSITORY / "params.yaml")]
    refuses(
        GanaugError,
        f"not one of {', '.join(plan.GPUS)}",
        invoke,
        app,
        other,
        catch_exceptions=False,
    )


def test_the_command_prints_the_estimate(write_params, monkeypatch, tmp_path):
    asked = {}

    def quick(p, classes, *, num_images):
        asked.update(classes=classes, num_images=num_images)
        return SPEEDS

    monkeypatch.setattr("ganaug.probe.probe", quick)
    file = write_params({"prepare.source": "digits", "prepare.resolution": 16})
    options = ["--params", file, "--prepared", tmp_path / "none", "--results", tmp_path]
    shown = CliRunner().invoke(app, ["plan", *map(str, options)], catch_exceptions=False)
    assert shown.exit_code == 0
    assert asked["classes"] == [str(digit) for digit in range(10)]
    assert asked["num_images"] == pytest.approx(0.6 * 1797, rel=0.02)
    assert "1,797 images in digits" in shown.output
    assert "NVIDIA H100" in shown.output
