"""Benchmarks feed stages with made-up input; here it is seen that the stages still take it."""

import numpy as np
import pandas as pd
import pytest

from benchmarks import arena, cluster, gpu, publishing, random_images
from benchmarks.sweep import METRICS, ranked_table
from ganaug.fileio import write_json
from ganaug.publishing.verify import verify_dataset
from tests.publishing.small_run import merge


def test_the_simulated_run_is_merged_and_verified(tmp_path):
    assert publishing.write_stages(tmp_path, 1000) == (800, 200)
    merge(tmp_path, "ship")
    files = verify_dataset(tmp_path / "augmented")["files"]
    assert sum(facts["rows"] for facts in files.values()) == 1000


def _experiment(name, val, params):
    data = {
        "metrics": {METRICS: {"data": {"val": val}}},
        "params": {"params.yaml": {"data": params}},
    }
    return {"name": name, "revs": [{"rev": "0" * 40, "data": data}]}


def test_a_sweep_shows_params_of_every_type_and_depth_best_kid_first():
    names = ["train.lr", "train.loss", "prepare.files.path", "train.augment"]

    def params(loss):
        train = {"lr": 0.0005, "loss": loss, "augment": ["cutout"]}
        return {"train": train, "prepare": {"files": {"path": "data/raw"}}}

    figures = {"precision": 0.5, "recall": 0.25}
    experiments = [
        _experiment("worse", {"kid": 10.0, **figures, "coverage": 0.125}, params("hinge")),
        _experiment("better", {"kid": 9.0, **figures}, params("minimax")),  # no class has 8 images
        {"name": "failed", "revs": [{"rev": "1" * 40, "data": None}]},
    ]
    table = ranked_table([{"experiments": experiments}, {"experiments": None}], names)
    rows = [line.split() for line in table.splitlines()]
    assert rows[0] == ["experiment", *names, "kid", "precision", "recall", "coverage"]
    shared = ["data/raw", "['cutout']"]
    assert rows[1] == ["better", "0.0005", "minimax", *shared, "9.000", "0.500", "0.250", "-"]
    assert rows[2] == ["worse", "0.0005", "hinge", *shared, "10.000", "0.500", "0.250", "0.125"]


def test_the_arena_shows_what_each_pool_adds_to_the_best_without(tmp_path, monkeypatch):
    monkeypatch.setattr(arena, "RESULTS", tmp_path)
    monkeypatch.setattr(arena, "PAGE", tmp_path / "arena.md")
    (tmp_path / "arena.md").write_text("a\n<!-- arena -->\nold\n<!-- end of arena -->\nz\n")
    labels = np.repeat([0, 1], (30, 10))
    right = {"balanced": 0.6, "paste": 0.4, "without": 0.6, "noise": 0.6, "both": 0.8}
    right["translated"] = 1.0  # share of the rare class that is recognised
    for fold in range(2):
        parts = [
            pd.DataFrame(
                {"network": net, "recipe": role, "repetition": repetition, "label": labels}
            ).assign(
                image_id=[f"{fold}-image-{i}" for i in range(40)],
                group_id=[f"{fold}-{i % 5}" for i in range(40)],
                predicted=np.where(np.arange(40) >= 30 + 10 * share, 0, labels),
            )
            for net in arena.NETWORKS
            for role, share in right.items()
            for repetition in range(arena.REPETITIONS)
        ]
        pd.concat(parts).to_parquet(tmp_path / f"elpv-rare-{fold}.parquet")
        facts = {"classes": ["a", "b"], "num_real": {"a": 60, "b": 20}, "seconds": 1800}
        write_json(facts, tmp_path / f"elpv-rare-{fold}.json")
    arena.write_table()
    before, head, line, cnn, linear, after = (
        (tmp_path / "arena.md").read_text().split("\n")[:-1][1:-1]
    )
    assert (before, after) == ("<!-- arena -->", "<!-- end of arena -->")
    row = dict(zip(head.split(" | "), cnn.split(" | "), strict=True))
    assert row["folds"] == "2"
    assert row["best without"].startswith("+0.0 [")
    assert row["noise"].startswith("+0.0 [")
    assert float(row["paste"].split(" [")[0]) < -5
    assert row["SMOTE"] == "-"  # of features, which this classifier has none of
    assert float(row["both"].split(" [")[0]) > 5
    assert float(row["translated"].split(" [")[0]) > float(row["both"].split(" [")[0])
    assert [row[f"rare recall, {pool}"] for pool in arena.TOGETHER] == ["+0.0", "+40.0", "+20.0"]
    assert row["hours |"] == "1.0 |"
    assert linear.startswith("| elpv-rare | linear |")
    assert line.count("---") == head.count("|") - 1


def test_the_check_of_a_gpu_runs_on_the_cpu_and_records_nothing(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(random_images, "SIDE", 16)
    monkeypatch.setattr(gpu, "OUT", tmp_path / "gpu.json")
    monkeypatch.setattr("sys.argv", ["gpu", "cpu"])
    gpu.main()
    printed = capsys.readouterr().out
    assert "| relative error of D's gradients, fp32 | 0.0e+00 (limit 0.02) |" in printed
    assert "| a state goes on on the CPU | yes |" in printed
    assert "| training, bf16, batches of 16 |" in printed
    assert not gpu.OUT.exists()


def test_a_simulated_cluster_is_held_up_by_its_workers_or_by_the_process_that_feeds_them():
    def hours(**cost):
        own = {"fixed": 0.0, "own": 0.0, "mib": 0.0, "mib_an_image": 0.0} | cost
        return cluster.simulate(cluster.Cost(**own), 10**6, machines=2)

    ideal = 10**6 * 0.01 / (2 * cluster.CORES) / 3600
    assert ideal < hours(workers=0.01) < 1.1 * ideal  # a few tasks are lost, the last ones wait
    assert hours(workers=0.01, own=0.001) == pytest.approx(1000 / 3600, rel=0.02)
    assert hours(workers=0.0, own=0.001, fixed=3600.0) == pytest.approx(1 + 1000 / 3600)


def test_costs_of_an_image_more_come_from_the_two_largest_sizes(tmp_path, monkeypatch):
    monkeypatch.setattr(cluster, "RESULTS", tmp_path)
    keys = ("seconds", "mib", "core_seconds", "worker_core_seconds")
    for size in (10, 1000, 2000):
        own = {key: float(size * (number + 1)) for number, key in enumerate(keys)}
        own = own if size > 10 else dict.fromkeys(keys, 1e9)
        write_json(dict.fromkeys(cluster.STAGES, own), tmp_path / f"{size}.json")
    found = cluster.measured_costs()
    assert found["generate"] == cluster.Cost(fixed=0.0, own=3.0, workers=4.0, mib=0, mib_an_image=2)
    assert found["merge"] == cluster.Cost(fixed=0.0, own=1.0, workers=0.0, mib=0, mib_an_image=2)
