"""The stages train and generate on the toy dataset, as DVC calls them."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from ganaug.config import change_params, load_params
from ganaug.curating.filter import ASKED
from ganaug.curating.reviews import REJECT, RELABEL, REVIEWED, Review, as_text, set_id
from ganaug.errors import DatasetError, SnapshotError, TrainingError
from ganaug.fileio import read_json, write_json
from ganaug.gan.compute import choose_compute
from ganaug.preparing.prepared import read_prepared
from ganaug.shards import read_rows
from pipeline import generate, train
from tests.refusal import refuses

TINY = {
    "prepare.resolution": 16,
    "train.size": "tiny",
    "train.kimg": 0.064,
    "train.batch_size": 16,
    "train.num_evaluations": 1,
    "generate.strategy": "per_class",
    "generate.amount": 6,
    "generate.filter_steps": 10,
}

NOTHING_ASKED = dict.fromkeys(("left", "right"), dict.fromkeys(ASKED, 0.0))


def invoke(app, **paths):
    arguments = [part for name, path in paths.items() for part in (f"--{name}", str(path))]
    return CliRunner().invoke(app, arguments, catch_exceptions=False)


def run_train_in(folder, prepared, params):
    paths = {"out": folder / "generator", "results": folder / "train"}
    paths |= {"checkpoints": folder / "states"}
    return invoke(train.app, prepared=prepared, params=params, **paths)


def losses(folder):
    return pd.read_csv(folder / "train/plots/metrics/loss/total.tsv", sep="\t")


@pytest.fixture
def run_train(tmp_path, prepared_folder, write_params):
    def run(**changes):
        return run_train_in(tmp_path, prepared_folder, write_params(TINY | changes))

    return run


@pytest.fixture(scope="module")
def _trained_once(tmp_path_factory, prepared_once, repository):
    folder = tmp_path_factory.mktemp("trained")
    params = Path(shutil.copy(repository / "params.yaml", folder))
    change_params(params, TINY)
    assert run_train_in(folder, prepared_once, params).exit_code == 0
    return folder / "generator"


@pytest.fixture
def trained(_trained_once, tmp_path):
    """The generator that `run_train()` makes, in the place where it puts it."""
    return shutil.copytree(_trained_once, tmp_path / "generator")


@pytest.fixture
def run_generate(tmp_path, prepared_folder, write_params):
    def run(out="synthetic", prepared=prepared_folder, reviews=(), **changes):
        paths = {"snapshot": tmp_path / "generator", "out": tmp_path / out}
        paths["review"] = tmp_path / "review.csv"
        paths["review"].write_text(as_text(reviews))
        paths |= {"results": tmp_path / "generate", "params": write_params(TINY | changes)}
        return invoke(generate.app, prepared=prepared, **paths)

    return run


def test_train_writes_a_snapshot_and_dvclive_results(run_train, tmp_path):
    result = run_train()
    assert result.exit_code == 0
    assert "train: best snapshot after 64 images" in result.stdout
    description = read_json(tmp_path / "generator" / "generator.json")
    assert description["classes"] == ["left", "right"]
    assert description["training"]["best"]["images_seen"] == 64
    metrics = read_json(tmp_path / "train" / "metrics.json")
    assert metrics["step"] == 64
    assert metrics["val"]["kid"] == description["training"]["best"]["kid"]
    named = set(metrics["val"]["collapsed_classes"].split(", "))
    low = {name for name, v in metrics["val"]["class_diversity"].items() if v < 0.5}
    assert named == (low or {"none"})
    assert losses(tmp_path)["step"].tolist() == [16, 32, 48, 64]
    assert (tmp_path / "train/plots/images/samples.png").stat().st_size > 0
    assert not any((tmp_path / "states").glob("*/*.safetensors"))  # done, so forgotten


def test_summary_and_grid_are_those_of_the_snapshot_that_ships(run_train, tmp_path, monkeypatch):
    values = {1: {"kid": 1.0, "class_diversity/left": 0.2}, 3: {"kid": 2.0}}
    grid = tmp_path / "train/plots/images/samples.png"
    grids = []

    def measure(images, labels):
        grids.append(grid.read_bytes())
        return values[len(grids)]  # the second time it fails

    monkeypatch.setattr(train, "validation_score", lambda *_, **__: measure)
    with pytest.raises(KeyError):
        run_train(**{"train.num_evaluations": 2})
    assert run_train(**{"train.num_evaluations": 2}).exit_code == 0
    metrics = read_json(tmp_path / "train" / "metrics.json")
    assert metrics["step"] == 32
    assert metrics["val"]["kid"] == 1.0
    assert metrics["val"]["collapsed_classes"] == "left"
    total = losses(tmp_path)
    assert total["step"].tolist() == [16, 32, 48, 64]  # the curve stays whole
    assert metrics["loss"]["total"] == pytest.approx(total["total"][1])
    assert grid.read_bytes() == grids[0] != grids[2]


def test_training_goes_on_from_a_snapshot_on_purpose(run_train, trained, tmp_path):
    base = trained.rename(tmp_path / "base")
    base_id = read_json(base / "generator.json")["weights_sha256"]
    assert run_train(**{"train.init_from": str(base)}).exit_code == 0
    description = read_json(tmp_path / "generator" / "generator.json")
    assert description["training"]["init_from"] == base_id
    other = {"train.init_from": str(base), "train.z_dim": 32}
    refuses(TrainingError, r"init_from: .+ holds other networks", run_train, **other)


def test_states_of_other_code_are_not_taken_over(
    prepared_folder, write_params, tmp_path, monkeypatch
):
    def run_id():
        job = train.resolve_job(params, read_prepared(prepared_folder), tmp_path / "states")
        return job.checkpoints.folder.name

    params = load_params(write_params(TINY))
    before = run_id()
    assert run_id() == before
    other = shutil.copytree(train.PACKAGE, tmp_path / "ganaug")
    monkeypatch.setattr(train, "PACKAGE", other)
    for neutral in ("progress.py", "downstream/recipes.py"):
        with (other / neutral).open("a") as file:
            file.write("# another bar\n")
    assert run_id() == before
    with (other / "quality/distances.py").open("a") as file:
        file.write("# another distance\n")
    assert run_id() != before


def test_images_that_do_not_fit_train_the_same_generator(run_train, trained, tmp_path, monkeypatch):
    weights = trained.rename(tmp_path / "resident") / "generator.safetensors"
    monkeypatch.setattr("ganaug.gan.compute.Compute.fits", lambda self, num_bytes: False)
    run_train()
    assert (tmp_path / "generator" / weights.name).read_bytes() == weights.read_bytes()
    assert not list((tmp_path / "states").rglob("*.npy"))


def test_mapped_images_have_no_name_that_a_second_start_could_write_to(
    prepared_folder, tmp_path, monkeypatch
):
    def load():
        return train._read_labelled(
            prepared, "train", compute=compute, spill_to=tmp_path / "states"
        )[0]

    prepared, compute = read_prepared(prepared_folder), choose_compute(device="cpu")
    resident = load()
    monkeypatch.setattr("ganaug.gan.compute.Compute.fits", lambda self, num_bytes: False)
    mapped = load()
    assert isinstance(mapped, np.memmap)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]
    assert np.array_equal(mapped, resident)


@pytest.mark.slow
def test_two_processes_train_one_snapshot(prepared_folder, write_params, tmp_path, repository):
    params = write_params(TINY | {"train.devices": 2, "train.num_evaluations": 2})
    command = [sys.executable, "-m", "pipeline.train", "--prepared", str(prepared_folder)]
    command += ["--out", str(tmp_path / "generator"), "--results", str(tmp_path / "train")]
    command += ["--checkpoints", str(tmp_path / "states"), "--params", str(params)]
    result = subprocess.run(command, cwd=repository, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert result.stdout.count("best snapshot after") == 1
    assert "2 processes, cpu" in result.stderr
    assert losses(tmp_path)["step"].tolist() == [16, 32, 48, 64]


@pytest.mark.usefixtures("trained")
def test_generate_writes_rows_that_can_be_made_again(
    run_generate, prepared_folder, tmp_path, monkeypatch
):
    # Four steps make a generator whose images may all pass for one class.
    monkeypatch.setattr(generate, "fit_thresholds", lambda *_, **__: NOTHING_ASKED)
    result = run_generate()
    assert result.exit_code == 0
    facts = read_json(tmp_path / "synthetic" / "synthetic.json")
    assert facts["accepted"] == {"left": 6, "right": 6}
    rows = pd.read_parquet(tmp_path / "synthetic" / "train-synthetic-00000.parquet")
    assert rows["label"].tolist() == [0] * 6 + [1] * 6
    assert set(rows["generator_id"]) == {facts["generator_id"]}
    assert rows[["seed", "label_confidence", "realism", "nearest_id"]].notna().all().all()
    real = read_rows(read_prepared(prepared_folder).shards("train"))[0].set_index("image_id")
    parents = rows[rows["parent_id"].notna()]
    assert len(parents)
    assert (real.loc[parents["parent_id"], "label"].to_numpy() == parents["label"]).all()
    run_generate(out="again")
    shards = [tmp_path / out / "train-synthetic-00000.parquet" for out in ("synthetic", "again")]
    assert shards[0].read_bytes() == shards[1].read_bytes()


def test_translated_rows_name_training_images_of_another_class(
    run_train, run_generate, prepared_folder, tmp_path, monkeypatch
):
    monkeypatch.setattr(generate, "fit_thresholds", lambda *_, **__: NOTHING_ASKED)
    assert run_train(**{"train.family": "translator"}).exit_code == 0
    assert run_generate().exit_code == 0
    rows, _ = read_rows([tmp_path / "synthetic" / "train-synthetic-00000.parquet"])
    prepared = read_prepared(prepared_folder)
    real = read_rows(prepared.shards("train"))[0].set_index("image_id")["label"]
    held_out = [path for split in ("val", "test") for path in prepared.shards(split)]
    ids = rows["parent_id"].str.split()
    assert not set(ids.explode()) & set(read_rows(held_out)[0]["image_id"])
    assert (real[ids.str[0]].to_numpy() != rows["label"]).all()  # what the image starts from
    second = ids.str[1].dropna()
    assert (real[second].to_numpy() == rows["label"][second.index]).all()  # what gave a detail


@pytest.mark.usefixtures("trained")
def test_what_people_rejected_stays_out_and_is_made_up_for(run_generate, tmp_path, monkeypatch):
    monkeypatch.setattr(generate, "fit_thresholds", lambda *_, **__: NOTHING_ASKED)

    def found(out, *reviews):
        run_generate(out=out, reviews=reviews)
        rows, _ = read_rows([tmp_path / out / "train-synthetic-00000.parquet"])
        return rows, read_json(tmp_path / out / "synthetic.json")

    rows, facts = found("first")
    assert "review" not in facts
    assert all("rejected_by_person" not in reasons for reasons in facts["rejected"].values())
    left, right = (rows[rows["label"] == label]["image_id"].tolist() for label in (0, 1))
    said = [
        Review(left[2], "left", REJECT, "", "AB"),
        Review(right[0], "right", RELABEL, "left", "CD"),
        Review("0" * 32, "left", REJECT, "", "XY"),  # of another generator
    ]
    again, facts = found("again", *said)
    assert not {left[2], right[0]} & set(again["image_id"])
    kept = [image_id for image_id in rows["image_id"] if image_id not in (left[2], right[0])]
    assert [i for i in again["image_id"] if i in set(kept)] == kept  # the others stay
    assert facts["accepted"] == {"left": 6, "right": 6}
    assert [reasons["rejected_by_person"] for reasons in facts["rejected"].values()] == [1, 1]
    counts = {"rejected": 1, "relabelled": 1, "reviewers": ["AB", "CD"], "complete": False}
    assert facts["review"] == counts
    seen = Review(set_id(again["image_id"]), "", REVIEWED, facts["generator_id"], "E.F")
    last, facts = found("last", *said, seen)
    assert last["image_id"].tolist() == again["image_id"].tolist()
    assert facts["review"] == counts | {"reviewers": ["AB", "CD", "E.F"], "complete": True}
    bad = [Review(left[2], "up", REJECT, "", "AB")]
    match = r"review\.csv: row 1: class 'up', expected left, right"
    refuses(DatasetError, match, run_generate, reviews=bad)


@pytest.mark.usefixtures("trained")
def test_generate_may_accept_nothing(run_generate, tmp_path, monkeypatch):
    asked = {"label_confidence": 0.5, "realism": 1e9}
    both = {"left": asked, "right": asked}
    monkeypatch.setattr(generate, "fit_thresholds", lambda *_, **__: both)
    result = run_generate()
    assert result.exit_code == 0
    assert "generate: 0 of 48 drawn images accepted" in result.stdout
    assert list((tmp_path / "synthetic").iterdir()) == [tmp_path / "synthetic" / "synthetic.json"]
    for document in ("synthetic/synthetic.json", "generate/metrics.json"):
        assert read_json(tmp_path / document)["min_scores"] == both


@pytest.mark.usefixtures("trained")
def test_snapshot_of_other_classes_is_refused(run_generate, prepared_copy):
    document = prepared_copy / "prepared.json"
    known = read_json(document)
    text = json.dumps(known).replace('"left"', '"west"')
    write_json(json.loads(text), document)
    match = "made for classes .*; run the stage train"
    refuses(SnapshotError, match, run_generate, prepared=prepared_copy)
