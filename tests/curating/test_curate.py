import os
import signal
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from ganaug.curating import curate as stage
from ganaug.curating.comparing import RealImages
from ganaug.curating.curate import Rules, curate, tally_dict
from ganaug.curating.filter import ASKED
from ganaug.gan.architecture import build_generator
from ganaug.gan.networks import Architecture
from ganaug.gan.sampling import LatentLaw, sample
from ganaug.gan.snapshot import Snapshot
from ganaug.images import decode_png, pixel_id
from ganaug.parallel import map_unordered
from ganaug.records import check_rows

REAL_IDS = [f"{i:032x}" for i in range(3)]
RULES = {
    "law": LatentLaw(),
    "min_scores": dict.fromkeys(("good", "bad"), dict.fromkeys(ASKED, 0.5)),
    "min_distance": {"good": 0.0, "bad": 0.0},
}


@pytest.fixture(scope="module")
def snapshot():
    architecture = Architecture(
        family="r3", resolution=16, channels=1, num_classes=2, z_dim=8, widths=(16, 16), patch=2
    )
    torch.manual_seed(0)
    G = build_generator(architecture).eval()
    G.marks.rows[0, ::2] = 1
    return Snapshot(G, architecture, ("good", "bad"), "ab" * 32, {1: REAL_IDS[1]})


@pytest.fixture(autouse=True)
def own_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


class Judge:
    """Confident about a given share of images of class 0, and about none of class 1."""

    def __init__(self, share=1.0):
        self.share = share

    def score(self, images, labels):
        n = len(images)
        confident = (np.arange(n) % 100 < 100 * self.share) & (labels == 0)
        confidence = np.where(confident, 0.9, 0.1)
        facts = {"realism": 1.0, "nearest": 2, "nearest_distance": 1.0, "is_copy": False}
        return pd.DataFrame({"label_confidence": confidence}).assign(**facts)


class DeadlyJudge(Judge):
    """Kills the first process other than this one that asks."""

    def __init__(self, share, mark):
        super().__init__(share)
        self.mark, self.parent = mark, os.getpid()

    def score(self, images, labels):
        if os.getpid() != self.parent and not self.mark.exists():
            self.mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return super().score(images, labels)


def run(
    snapshot,
    judge,
    wanted,
    real_ids=REAL_IDS,
    *,
    real=None,
    max_draws_per_image=4,
    map_tasks=map,
    **rules,
):
    nothing = np.zeros((len(real_ids), 16, 16, 1), np.uint8)
    real = real or RealImages(real_ids, np.zeros(len(real_ids), np.int64), nothing)
    own = Rules(judge=judge, real=real, **(RULES | rules))
    options = {"first_seed": 1000, "max_draws_per_image": max_draws_per_image}
    options |= {"pngs": Path("synthetic.png"), "map_tasks": map_tasks}
    return curate(snapshot, own, wanted=wanted, **options)


def test_rows_carry_everything_and_name_their_image(snapshot):
    curated = run(snapshot, Judge(), {"good": 5, "bad": 0})
    rows = check_rows(curated.rows, snapshot.classes, where="test")
    assert len(rows) == len(curated.images) == 5
    assert rows["seed"].tolist() == [1000, 1001, 1002, 1003, 1004]
    assert set(rows["nearest_id"]) == {REAL_IDS[2]}
    assert rows["parent_id"].tolist() == snapshot.parent_ids([0] * 5, rows["seed"].tolist())
    assert REAL_IDS[1] in rows["parent_id"].tolist()
    again = sample(snapshot.generator, [0], [1003])[0]
    assert np.array_equal(decode_png(bytes(curated.images[3])), again)


def test_rejects_are_counted_and_replaced(snapshot):
    curated = run(snapshot, Judge(share=0.5), {"good": 120, "bad": 0})
    tally = curated.tallies["good"]
    assert tally.accepted == 120
    assert tally.drawn == tally.accepted + sum(tally.rejected.values())
    assert tally.rejected["doubtful_class"] > 50


@pytest.mark.parametrize(
    "backend", ["loky", *(pytest.param(b, marks=pytest.mark.slow) for b in ("ray", "dask"))]
)
def test_workers_accept_the_same_images_though_one_is_killed(
    snapshot, backend, repository, tmp_path, monkeypatch
):
    monkeypatch.setenv("PYTHONPATH", str(repository))  # a worker finds the judge there
    monkeypatch.setattr(stage, "ROUND", 64)
    wanted = {"good": 200, "bad": 30}
    here = run(snapshot, Judge(share=0.3), wanted)
    judge = DeadlyJudge(0.3, tmp_path / "killed")
    cluster = partial(map_unordered, num_workers=2, backend=backend)
    there = run(snapshot, judge, wanted, map_tasks=cluster)
    assert judge.mark.exists()
    assert here.tallies["good"].rejected["doubtful_class"] > 100  # more than one wave was needed
    pd.testing.assert_frame_equal(there.rows, here.rows)
    assert there.tallies == here.tallies
    assert [bytes(own) for own in there.images] == [bytes(own) for own in here.images]


def test_class_that_can_not_be_made_is_given_up_and_named(snapshot, capsys):
    curated = run(snapshot, Judge(), {"good": 3, "bad": 10})
    counts = tally_dict(curated.tallies)
    assert counts["accepted"] == {"good": 3, "bad": 0}
    assert counts["drawn"]["bad"] == 40
    assert counts["rejected"]["bad"]["doubtful_class"] == 40
    assert "class bad: only 0 of 10 wanted images" in capsys.readouterr().err
    none = run(snapshot, Judge(), {"good": 0, "bad": 0})
    assert (len(none.rows), none.images) == (0, [])


def test_real_images_are_never_repeated(snapshot):
    wanted = {"good": 3, "bad": 0}
    ids = run(snapshot, Judge(), wanted).rows["image_id"].tolist()
    curated = run(snapshot, Judge(), wanted, ids)
    assert not set(ids) & set(curated.rows["image_id"])
    assert curated.tallies["good"].rejected["duplicate"] == 3


def test_of_several_reasons_the_first_in_their_order_is_counted(snapshot, monkeypatch):
    """All are near copies for the judge; half of them also have a real image's very pixels."""

    class Suspicious(Judge):
        def score(self, images, labels):
            return super().score(images, labels).assign(is_copy=True)

    drawn = sample(snapshot.generator, [0] * 40, list(range(1000, 1040)))
    ids = [pixel_id(image) for image in drawn[::2]]
    monkeypatch.setattr(Snapshot, "parent_ids", lambda *_, **__: [ids[0]] * 40)
    real = RealImages(ids, np.ones(20, np.int64), np.repeat(drawn[:1], 20, axis=0))
    options = {"max_draws_per_image": 1, "min_distance": {"good": 9.0, "bad": 0.0}}
    curated = run(snapshot, Suspicious(), {"good": 40, "bad": 0}, real=real, **options)
    rejected = curated.tallies["good"].rejected
    assert (rejected["duplicate"], rejected["near_copy"], rejected["unchanged"]) == (20, 20, 0)


def test_classes_draw_their_own_seeds_however_many_waves_they_need(snapshot, monkeypatch):
    monkeypatch.setattr(stage, "ROUND", 20)
    monkeypatch.setattr(stage, "MOST_ROUNDS", 3)

    class Fair(Judge):
        """Refuses every fourth image of each class, by its place in the round."""

        def score(self, images, labels):
            confidence = np.where(np.arange(len(images)) % 4 == 3, 0.1, 0.9)
            return super().score(images, labels).assign(label_confidence=confidence)

    curated = run(snapshot, Fair(), {"good": 100, "bad": 70})
    passed = [seed for seed in range(1000, 1400) if (seed - 1000) % 20 % 4 != 3]
    for label, number in enumerate((100, 70)):
        own = curated.rows[curated.rows["label"] == label]
        assert own["seed"].tolist() == passed[:number]
    assert curated.tallies["good"].drawn == passed[99] - 1000 + 1


def test_near_duplicates_of_accepted_images_are_rejected_and_counted(snapshot, monkeypatch):
    def draw(generator, labels, seeds, *, law):
        """Two faint variants of each image, two seeds apart, so that no two have equal pixels."""
        images = [np.random.default_rng(s % 20).integers(50, 200, (16, 16, 1)) for s in seeds]
        for image, seed in zip(images, seeds, strict=True):
            image[0, 0, 0] += seed // 20 % 2
        return np.array(images, np.uint8)

    monkeypatch.setattr(stage, "sample", draw)
    apart = {"min_distance": {"good": 0.5, "bad": 0.5}}
    found = []
    for size in (7, 64):
        monkeypatch.setattr(stage, "ROUND", size)
        curated = run(snapshot, Judge(), {"good": 21, "bad": 0}, max_draws_per_image=2, **apart)
        found.append(curated)
        tally = curated.tallies["good"]
        assert curated.rows["seed"].tolist() == list(range(1000, 1020))
        assert (tally.accepted, tally.drawn) == (20, 42)
        assert tally.rejected["repeat"] == 20
        assert tally.rejected["duplicate"] == 2
    assert [bytes(own) for own in found[0].images] == [bytes(own) for own in found[1].images]
    assert tally_dict(found[0].tallies) == tally_dict(found[1].tallies)
    assert run(snapshot, Judge(), {"good": 21, "bad": 0}).tallies["good"].accepted == 21


def test_an_image_that_is_still_its_origin_is_refused(snapshot, monkeypatch):
    """Every second one is declared to start from a mirrored copy of itself, of another class."""
    drawn = sample(snapshot.generator, [0] * 40, list(range(1000, 1040)))
    ids = [f"{i:032x}" for i in range(40)]
    parents = [f"{own} {ids[0]}" if i % 2 else None for i, own in enumerate(ids)]
    monkeypatch.setattr(Snapshot, "parent_ids", lambda *_, **__: parents)
    for label, refused in ((1, 20), (0, 0)):  # of the same class it gave a detail only
        mirrored = np.ascontiguousarray(drawn[:, :, ::-1])
        real = RealImages(ids, np.full(40, label), mirrored)
        options = {"max_draws_per_image": 1, "min_distance": {"good": 0.05, "bad": 0.0}}
        curated = run(snapshot, Judge(), {"good": 40, "bad": 0}, real=real, **options)
        assert curated.tallies["good"].rejected["unchanged"] == refused
