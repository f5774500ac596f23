"""The whole stage on the toy dataset; test_controls.py asks whether its verdicts are right."""

import json
from dataclasses import replace

import numpy as np
import pytest

from ganaug.errors import DatasetError
from ganaug.evaluation import evaluate as stage
from ganaug.evaluation.arms import ARMS
from ganaug.evaluation.evaluate import evaluate
from ganaug.images import decode_png, encode_png
from ganaug.preparing.prepare import prepare
from ganaug.preparing.prepared import read_prepared
from ganaug.shards import read_rows
from ganaug.sources.base import Source
from tests.evaluation.toy_synthetic import copied_images, new_images, write_synthetic
from tests.toy_source import toy_source


@pytest.fixture
def deciding_arms_only(monkeypatch):
    """Leave out the arms that no decision rests on."""
    monkeypatch.setattr(stage, "ARMS", {name: ARMS[name] for name in ("B", "B'", "D")})


@pytest.fixture
def run(prepared, synthetic, shipped_params, tmp_path):
    """Evaluate a synthetic set with a small recipe."""
    params = shipped_params.evaluate.model_copy(
        update={
            "num_seeds": 2,
            "num_steps": 25,
            "batch_size": 12,
            "lr": 0.01,
            "ratios": (0, 1),
        }
    )

    def evaluated(images, labels, *, columns=None, **changes):
        folder = synthetic(images, labels, **(columns or {}))
        own = params.model_copy(update=changes)
        return evaluate(
            prepared, folder, params=own, seed=0, cache=tmp_path / "cache", num_workers=1
        )

    return evaluated


def test_right_images_ship_and_everything_is_plain_values(run):
    found = run(*new_images(), num_seeds=3)
    assert found.verdict["decision"] == "ship", found.verdict["reasons"]
    assert found.verdict["num_seeds"] == 3
    assert found.verdict["ratio"]["chosen"] == 1, found.verdict["ratio"]
    assert set(found.metrics["arms"]) == {"A", "B", "B'", "C", "D", "E"}
    assert found.metrics["arms"]["B"]["mean"] > 0.9
    for space in ("distances", "distances_trained"):
        assert found.metrics[space]["extractor"]["weights_sha256"]
        assert set(found.metrics[space]["synthetic"]["classes"]) == {"left", "right"}
        assert set(found.metrics[space]["floor"]["classes"]) == {"left", "right"}
    assert set(found.metrics["memorisation"]) == {"imagenet", "thumbnails", "thumbnails_space"}
    assert len(found.pairs) == 16
    json.dumps([found.metrics, found.verdict, found.pairs], allow_nan=False)


@pytest.mark.usefixtures("deciding_arms_only")
def test_copies_of_training_images_do_not_ship(run, prepared):
    found = run(*copied_images(prepared), num_steps=2)
    assert found.verdict["decision"] == "ship_real_only"
    assert found.verdict["memorisation"]["passed"] is False
    assert any(reason.startswith("Copies") for reason in found.verdict["reasons"])


def test_no_synthetic_image_gives_the_real_ones_and_says_why(run):
    found = run([], [], num_steps=2)
    assert found.verdict["decision"] == "ship_real_only"
    assert "no synthetic images" in found.verdict["sentence"]
    assert found.verdict["uplift"]["D-B"]["mean_pp"] == 0
    assert set(found.metrics["arms"]) == {"A", "B", "B'"}
    assert found.metrics["distances"]["synthetic"]["class_mean"]["kid"] is None
    assert found.pairs == []


@pytest.mark.usefixtures("deciding_arms_only")
def test_a_class_without_synthetic_images_is_no_obstacle(run):
    images, labels = new_images()
    found = run([x for x, c in zip(images, labels, strict=True) if c == 0], [0] * 16, num_steps=2)
    assert found.metrics["distances"]["synthetic"]["classes"]["right"]["num_synthetic"] == 0
    assert set(found.verdict["recall_change_pp"]) == {"left", "right"}


def test_a_leaked_test_image_stops_the_run(run, prepared):
    test_rows, _ = read_rows(prepared.shards("test"))
    leaked = test_rows["image_id"].iloc[0]
    with pytest.raises(DatasetError, match=f"-> {leaked}"):
        run(*new_images(), columns={"nearest_id": leaked})


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
    prepare(params, seed=0, out=folder, source=leaking, num_workers=1)
    prepared = read_prepared(folder)
    made = write_synthetic(tmp_path / "synthetic", prepared, *new_images())
    small = shipped_params.evaluate.model_copy(update={"num_seeds": 2, "num_steps": 1})
    pairs = r"test and train share near duplicates: \w{32} ~ \w{32}, .* and 17 more"
    with pytest.raises(DatasetError, match=pairs):
        evaluate(prepared, made, params=small, seed=0, cache=tmp_path / "cache", num_workers=1)
