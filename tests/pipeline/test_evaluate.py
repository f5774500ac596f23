from contextlib import contextmanager

from typer.testing import CliRunner

from ganaug.fileio import read_json
from ganaug.preparing.prepared import read_prepared
from pipeline.evaluate import app
from tests.toy_synthetic import new_images, write_synthetic

SMALL = {
    "evaluate.num_repetitions": 2, "evaluate.num_steps": 4, "evaluate.batch_size": 8,
    "evaluate.shares": [0.5],
}  # fmt: skip
DOCUMENTS = (
    "metrics.json", "verdict.json", "closest_pairs.json", "runs.csv", "predictions.parquet",
)  # fmt: skip


def run(tmp_path, prepared_folder, params, out):
    arguments = ["--prepared", prepared_folder, "--synthetic", tmp_path / "synthetic"]
    arguments += ["--out", out, "--params", params]
    arguments += ["--cache", tmp_path / "cache"]  # empty at first, full the second time
    result = CliRunner().invoke(app, [str(a) for a in arguments], catch_exceptions=False)
    assert result.exit_code == 0
    return result


def test_the_stage_writes_everything_and_a_rerun_the_same_bytes(
    tmp_path, prepared_folder, write_params, monkeypatch
):
    backends = set()

    @contextmanager
    def here(backend):
        backends.add(backend)
        yield map

    monkeypatch.setattr("pipeline.evaluate.workers", here)
    write_synthetic(tmp_path / "synthetic", read_prepared(prepared_folder), *new_images())
    first, second = tmp_path / "first", tmp_path / "second"
    params = write_params({**SMALL, "backend": "dask"})
    result = run(tmp_path, prepared_folder, params, first)
    run(tmp_path, prepared_folder, params, second)
    verdict = read_json(first / "verdict.json")
    assert verdict["sentence"] in result.stdout
    for name in DOCUMENTS:
        assert (first / name).read_bytes() == (second / name).read_bytes(), name
    costs = read_json(first / "budget.json")
    assert costs["seconds"] > 0
    assert "share_of_cores_training_classifiers" not in costs  # those of a cluster
    assert backends == {"dask"}
