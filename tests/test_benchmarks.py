"""Benchmarks feed stages with made-up input; here it is seen that the stages still take it."""

from benchmarks import publishing
from benchmarks.sweep import METRICS, ranked_table
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
