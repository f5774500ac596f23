import numpy as np
import pandas as pd
import pytest

from ganaug.quality import measures
from ganaug.quality.distances import measure
from ganaug.quality.measures import (
    describe_pairs,
    extract,
    measure_copying,
    measure_distances,
)
from ganaug.quality.parts import LabelledImages, Part, origins
from ganaug.thumbnails import flip, thumbnails

COUNTS = {"train": (40, 30), "val": (20, 20), "test": (30, 30), "synthetic": (25, 3)}


def part(counts, seed):
    labels = np.repeat([0, 1], counts)
    images = np.random.default_rng(seed).integers(0, 256, (len(labels), 16, 16, 1), dtype=np.uint8)
    names = [f"{seed}-{i}" for i in range(len(labels))]
    rows = pd.DataFrame({"image_id": names, "group_id": names, "parent_id": None, "label": labels})
    return Part(rows, LabelledImages(images, labels), rows)


def declared_in(parts):
    return origins(parts["synthetic"].rows, parts["train"].rows)


@pytest.fixture
def parts():
    return {name: part(counts, seed) for seed, (name, counts) in enumerate(COUNTS.items())}


def test_the_floor_stands_beside_at_equal_n(parts):
    features = extract(thumbnails, parts)
    found = measure_distances(features, parts, ("a", "b"), seed=0)
    made, floor = found["synthetic"]["classes"]["a"], found["floor"]["classes"]["a"]
    assert set(made) == set(floor)
    assert (made["num_prdc"], floor["num_prdc"]) == (25, 25)
    assert (made["num_real"], made["num_synthetic"]) == (30, 25)
    assert floor["num_synthetic"] == 40  # KID takes all rows
    assert found["synthetic"]["classes"]["b"]["kid"] is None  # three images are too few
    assert found["synthetic"]["not_measured"] == ["b"]
    assert found["floor"]["not_measured"] == ["b"]  # beside it, at as few images


def test_a_class_without_synthetic_images_keeps_its_floor(parts):
    parts["synthetic"] = part((25, 0), 9)
    found = measure_distances(extract(thumbnails, parts), parts, ("a", "b"), seed=0)
    assert found["synthetic"]["classes"]["b"]["kid"] is None
    assert found["floor"]["classes"]["b"]["kid"] is not None
    assert found["floor"]["classes"]["b"]["num_prdc"] == 30


def test_overall_pools_the_classes_with_the_shares_of_test(parts, monkeypatch):
    seen = []

    def spy(real, synthetic, **options):
        seen.append((real, synthetic))
        return measure(real, synthetic, **options)

    monkeypatch.setattr(measures, "measure", spy)
    for name, counts in (("test", (30, 15)), ("synthetic", (20, 40))):
        parts[name] = part(counts, 7)
        parts[name].data.images[:] = np.arange(256, dtype=np.uint8).reshape(16, 16, 1)
        parts[name].data.images[parts[name].data.labels == 1] ^= 255  # the second class, inverted
    features = extract(thumbnails, parts)
    found = measure_distances(features, parts, ("a", "b"), seed=0)
    for pool in seen[0]:
        first = (pool == features["test"][0]).all(axis=1)
        assert (first.sum(), len(pool)) == (20, 30)
    assert found["synthetic"]["overall"]["kid"] < 0.01 < found["floor"]["overall"]["kid"]
    assert found["synthetic"]["overall"]["num_prdc"] == found["floor"]["overall"]["num_prdc"] == 30
    assert np.array_equal(seen[0][0], seen[1][0])  # of test, the same rows beside the floor


def test_overall_leaves_out_a_class_that_is_too_small(parts):
    found = measure_distances(extract(thumbnails, parts), parts, ("a", "b"), seed=0)
    assert found["synthetic"]["overall"]["num_prdc"] == found["floor"]["overall"]["num_prdc"] == 25
    parts["synthetic"] = part((0, 0), 9)
    found = measure_distances(extract(thumbnails, parts), parts, ("a", "b"), seed=0)
    assert found["synthetic"]["overall"]["kid"] is None
    assert found["floor"]["overall"]["num_prdc"] == 60


def test_of_many_images_some_are_drawn_for_the_slow_figures(parts, monkeypatch):
    monkeypatch.setattr(measures, "MOST_IMAGES", 16)
    found = measure_distances(extract(thumbnails, parts), parts, ("a", "b"), seed=0)
    for side in found.values():
        assert side["overall"]["num_prdc"] == 16
        assert side["classes"]["a"]["num_prdc"] == 16
        assert side["classes"]["a"]["num_real"] > 16


def test_copying_is_measured_in_each_space_against_val_and_test(parts):
    features = extract(thumbnails, parts)
    found = measure_copying(
        {"one": features, "two": features},
        parts,
        declared=declared_in(parts),
        seed=0,
    )
    assert found["one"] == found["two"]
    assert found["one"]["num_holdout"] == 100
    assert set(found) == {"one", "two", "fragments"}
    parts["synthetic"] = part((0, 0), 9)
    assert (
        measure_copying(
            {"one": features},
            parts,
            declared=declared_in(parts),
            seed=0,
        )
        == {}
    )


def test_what_an_image_is_declared_to_start_from_does_not_count_as_copied(parts):
    """The training images of the other class, hardly changed; the second id gave a detail."""
    train, made = parts["train"], parts["synthetic"]
    rows = np.where(made.data.labels == 0, 40, 0) + np.arange(28) % 20  # of the other class
    images = train.data.images[rows].copy()
    images[:, :2, :2] = 0
    names = train.rows["image_id"].to_numpy()
    declared = made.rows.assign(parent_id=[f"{names[row]} {names[5]}" for row in rows])
    same_class = made.rows.assign(parent_id=names[np.arange(28)])
    assert origins(declared, train.rows).tolist() == rows.tolist()
    of_own = origins(same_class.iloc[:25], train.rows)
    assert (of_own == -1).all()
    for told, passes in ((declared, True), (made.rows, False)):
        own = {**parts, "synthetic": Part(told, LabelledImages(images, made.data.labels), told)}
        found = measure_copying(
            {"thumbnails": extract(thumbnails, own)},
            own,
            declared=origins(told, train.rows),
            seed=0,
        )
        assert all(facts["passed"] is passes for facts in found.values()), (passes, found)
        assert found["thumbnails"]["near_copies_with_origins"] == 1
        small = {name: thumbnails(own[name].data.images) for name in ("train", "synthetic")}
        nearest = describe_pairs(small, own, declared=origins(told, train.rows))
        assert (nearest[0]["distance"] < 2) is not passes  # what is declared makes no pair


def test_pairs_are_named_by_image_id(parts):
    features = extract(thumbnails, parts)
    features["synthetic"][5] = features["train"][7]
    pairs = describe_pairs(features, parts, declared=declared_in(parts))
    assert pairs[0] == {
        "synthetic_id": "3-5",
        "train_id": "0-7",
        "distance": pytest.approx(0, abs=1e-5),
        "flip": "",
    }
    assert [pair["distance"] for pair in pairs] == sorted(pair["distance"] for pair in pairs)
    assert len(pairs) == 16


def test_pairs_name_the_flip_and_the_gate_sees_it(parts):
    features = extract(thumbnails, parts)
    features["synthetic"] = flip(features["train"][:28], ["hflip", "vflip"])
    pairs = describe_pairs(features, parts, declared=declared_in(parts))
    assert {pair["flip"] for pair in pairs} == {"hflip+vflip"}
    assert all(pair["train_id"][2:] == pair["synthetic_id"][2:] for pair in pairs)
    spaces = {"thumbnails": features, "imagenet": features}
    found = measure_copying(spaces, parts, declared=declared_in(parts), seed=0)
    assert found["thumbnails"]["near_copies"] == 1
    assert found["imagenet"]["near_copies"] == 0  # its images are not seen flipped


def test_fewer_images_give_fewer_pairs_and_none_gives_none(parts):
    for number in (13, 0):
        parts["synthetic"] = part((number, 0), 9)
        features = extract(thumbnails, parts)
        pairs = describe_pairs(features, parts, declared=declared_in(parts))
        assert len(pairs) == number
