"""The whole stage on the toy dataset; test_controls.py asks whether its verdicts are right."""

import json
from dataclasses import replace
from functools import partial

import numpy as np
import pandas as pd
import pytest

from ganaug.downstream.recipes import ARMS
from ganaug.errors import DatasetError
from ganaug.images import decode_png, encode_png, pixel_id
from ganaug.preparing.near_duplicates import USUAL_DISTANCE
from ganaug.preparing.prepare import prepare
from ganaug.preparing.prepared import read_prepared
from ganaug.quality.parts import choose_rows
from ganaug.shards import read_rows
from ganaug.sources.base import Source
from ganaug.verdict.evaluate import evaluate
from tests.toy_source import toy_source
from tests.toy_synthetic import copied_images, new_images, write_synthetic

judge = partial(evaluate, near_duplicate_distance=USUAL_DISTANCE, seed=0)


@pytest.fixture
def run(prepared, synthetic, shipped_params, tmp_path):
    """Evaluate a synthetic set with a small recipe."""
    params = shipped_params.evaluate.model_copy(
        update={
            "num_repetitions": 2,
            "num_steps": 20,
            "batch_size": 12,
            "lr": 0.01,
            "shares": (0.5,),
        }
    )

    def evaluated(images, labels, *, columns=None, **changes):
        folder = synthetic(images, labels, **(columns or {}))
        own = params.model_copy(update=changes)
        return judge(prepared, folder, params=own, cache=tmp_path / "cache")

    return evaluated


def test_everything_is_measured_and_is_plain_values(run, prepared):
    found = run(*new_images())
    assert set(found.verdict["networks"]) == {"cnn", "linear"}
    for net in ("cnn", "linear"):
        facts = found.verdict["networks"][net]
        assert facts["uplift"]["num_repetitions"] == 2
        assert facts["with"]["recipe"]["share"] == 0.5
        assert set(facts["recall_change_pp"]) == {"left", "right"}
        assert set(found.metrics["networks"][net]["arms"]) == set(ARMS)
    for space in ("distances", "distances_trained"):
        assert found.metrics[space]["extractor"]["weights_sha256"]
        assert set(found.metrics[space]["synthetic"]["classes"]) == {"left", "right"}
        assert set(found.metrics[space]["floor"]["classes"]) == {"left", "right"}
    assert len(found.pairs) == 16
    judged = found.verdict["judged"]
    assert judged["generator_id"] == "ab" * 32
    assert set(judged["files"]) == {*prepared.files, "train-synthetic-00000.parquet"}
    num_test = sum(prepared.counts["test"].values())
    by_run = found.predictions.groupby(["network", "recipe", "repetition"]).size()
    assert (by_run == num_test).all()
    json.dumps([found.metrics, found.verdict, found.pairs], allow_nan=False)


def test_copies_of_training_images_do_not_ship(run, prepared):
    found = run(*copied_images(prepared), num_steps=2)
    assert found.verdict["decision"] == "ship_real_only"
    assert found.verdict["memorisation"]["passed"] is False
    assert any(reason.startswith("Copies") for reason in found.verdict["reasons"])


def test_no_synthetic_image_gives_the_real_ones_and_says_why(run):
    found = run([], [], num_steps=2)
    assert found.verdict["decision"] == "ship_real_only"
    assert "no synthetic images" in found.verdict["sentence"]
    assert found.verdict["networks"]["cnn"]["uplift"] is None
    assert found.verdict["networks"]["cnn"]["plain_gain"]["mean_pp"] is not None
    assert set(found.metrics["networks"]["cnn"]["arms"]) == {"A", "B", "B'"}
    assert found.metrics["distances"]["synthetic"]["class_mean"]["kid"] is None
    assert found.pairs == []


def test_a_class_without_synthetic_images_is_no_obstacle(run):
    images, labels = new_images()
    found = run([x for x, c in zip(images, labels, strict=True) if c == 0], [0] * 16, num_steps=2)
    assert found.metrics["distances"]["synthetic"]["classes"]["right"]["num_synthetic"] == 0
    assert found.verdict["too_small"] == ["right"]


def test_a_leaked_test_image_stops_the_run(run, prepared):
    test_rows, _ = read_rows(prepared.shards("test"))
    leaked = test_rows["image_id"].iloc[0]
    with pytest.raises(DatasetError, match=f"-> {leaked}"):
        run(*new_images(), columns={"nearest_id": leaked})


@pytest.fixture
def large(monkeypatch):
    """As if 32 images were many."""
    monkeypatch.setattr("ganaug.quality.parts.MOST_IMAGES", 20)
    monkeypatch.setattr("ganaug.quality.parts.FEWEST_OF_CLASS", 4)


def test_of_large_parts_a_sample_is_judged(run, large):
    found = run(*new_images(), num_steps=2)
    assert "Of the 32 train images, 20 were drawn for the verdict." in found.verdict["reasons"]
    assert found.metrics["memorisation"]["imagenet"]["num_train"] == 20
    assert found.verdict["sentence"].count("32 synthetic images")


def test_a_leak_is_found_beyond_the_sample(run, prepared, large):
    images, labels = new_images()
    rows = pd.DataFrame({"label": labels, "image_id": [pixel_id(image) for image in images]})
    left_out = np.flatnonzero(~choose_rows(rows))[0]
    nearest = [read_rows(prepared.shards("train"))[0]["image_id"].iloc[0]] * len(images)
    nearest[left_out] = read_rows(prepared.shards("test"))[0]["image_id"].iloc[0]
    with pytest.raises(DatasetError, match=f"-> {nearest[left_out]}"):
        run(images, labels, columns={"nearest_id": nearest})


def test_altered_training_images_in_test_stop_the_run_and_are_named(shipped_params, tmp_path):
    source, rng = toy_source(), np.random.default_rng(0)
    images = list(source.images)
    altered = [
        replace(
            image,
            name=f"altered/{number:02d}.png",
            split="test",
            group=f"altered-{number}",
            content=encode_png(
                decode_png(image.content) + rng.integers(0, 2, (16, 16, 1), dtype=np.uint8)
            ),
        )
        for number, image in enumerate([i for i in images if i.split == "train"][:20])
    ]
    params = shipped_params.prepare.model_copy(
        update={"resolution": 16, "channels": 1, "near_duplicate_distance": 0}
    )
    folder = tmp_path / "prepared"
    leaking = Source(source.facts, [*images, *altered])
    prepare(params, seed=0, out=folder, source=leaking)
    prepared = read_prepared(folder)
    made = write_synthetic(tmp_path / "synthetic", prepared, *new_images())
    small = shipped_params.evaluate.model_copy(update={"num_repetitions": 2, "num_steps": 1})
    pairs = r"test and train share near duplicates: \w{32} ~ \w{32}, .* and 17 more"
    with pytest.raises(DatasetError, match=pairs):
        judge(prepared, made, params=small, cache=tmp_path / "cache")
