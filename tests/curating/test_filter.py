import numpy as np
import pandas as pd
import pytest

from ganaug.curating.comparing import repeat_distances
from ganaug.curating.filter import (
    ASKED,
    BATCH_SIZE,
    LR,
    MIN_IMAGES,
    SyntheticFilter,
    fit_thresholds,
    reject_by_score,
    split_in_halves,
)
from ganaug.downstream.setting import Setting
from ganaug.errors import DatasetError
from ganaug.parallel import workers
from ganaug.preparing.rules import FEWEST_IN_HALF
from ganaug.thumbnails import thumbnails
from tests.publishing.small_run import CLASSICAL
from tests.refusal import refuses

NAMES = ("top", "left", "striped")


def make_images(labels, seed):
    """16 px images of three plainly different classes."""
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 40, (len(labels), 16, 16, 1))
    images[labels == 0, :8] += 180
    images[labels == 1, :, :8] += 180
    images[labels == 2, ::2] += 180
    return images.astype(np.uint8)


def learn(**options):
    labels = np.repeat([0, 1, 2], 24)
    groups = [f"g{i // 4}" for i in range(len(labels))]
    images = make_images(labels, seed=0)
    setting = Setting(40, BATCH_SIZE, LR, NAMES, (), CLASSICAL, seed=0)
    return SyntheticFilter(images, labels, groups, setting, **options), images


@pytest.fixture(scope="module")
def judge():
    return learn()


@pytest.mark.parametrize(
    "backend", ["loky", *(pytest.param(b, marks=pytest.mark.slow) for b in ("ray", "dask"))]
)
def test_halves_that_workers_learned_score_the_same(judge, backend):
    with workers(backend, num_workers=2) as map_tasks:

        def backwards(function, tasks):
            return reversed(list(map_tasks(function, tasks)))

        found = [learn(map_tasks=how)[0] for how in (map_tasks, backwards)]
    labels = np.repeat([0, 1, 2], 8)
    images = make_images(labels, seed=1)
    for other in found:
        pd.testing.assert_frame_equal(
            other.score(images, labels), judge[0].score(images, labels), check_exact=True
        )


def test_right_class_is_confident_and_wrong_class_is_not(judge):
    labels = np.repeat([0, 1, 2], 8)
    images = make_images(labels, seed=1)
    right, wrong = (judge[0].score(images, (labels + k) % 3).label_confidence for k in (0, 1))
    assert np.median(right) > 0.8
    assert np.median(wrong) < 0.2


def test_copy_of_a_training_image_is_traced_to_it(judge):
    labels = np.repeat([0, 1, 2], 24)
    scores = judge[0].score(judge[1], labels)
    assert scores.nearest.tolist() == list(range(72))
    assert scores.is_copy.all()
    assert scores.nearest_distance.max() < 1e-3


def test_a_class_of_four_images_can_be_judged():
    labels = np.repeat([0, 1, 2], (24, 24, MIN_IMAGES))
    setting = Setting(40, BATCH_SIZE, LR, NAMES, (), CLASSICAL, seed=0)
    rare = SyntheticFilter(make_images(labels, seed=0), labels, list(range(52)), setting)
    scores = rare.score(make_images(labels, seed=1), labels)
    assert scores[labels == 2].nearest.isin(np.flatnonzero(labels == 2)).all()
    assert scores.label_confidence[labels == 2].median() > 0.5
    # Two images in a half can't say how near is too near; those of the other classes can.
    assert scores.is_copy[labels == 2].sum() < MIN_IMAGES
    assert rare.score(make_images(labels, seed=0), labels).is_copy[labels == 2].all()


def test_halves_never_split_a_group_and_share_every_class():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 300)
    groups = [f"g{i // 10}" for i in range(300)]
    halves = split_in_halves(labels, groups, class_names=NAMES, seed=0)
    for group in set(groups):
        assert len({int(h) for h, g in zip(halves, groups, strict=True) if g == group}) == 1
    for label in range(3):
        assert 0.3 < halves[labels == label].mean() < 0.7

    groups = [f"g{i}" for i in range(20)] + ["only"] * 10
    options = {"class_names": NAMES, "seed": 0}
    match = "class striped: too few training images"
    refuses(DatasetError, match, split_in_halves, np.repeat([0, 1, 2], 10), groups, **options)
    assert MIN_IMAGES == 2 * FEWEST_IN_HALF  # what passes prepare can be judged


def test_no_two_real_images_are_near_duplicates_and_faintly_altered_ones_are():
    labels = np.repeat([0, 1, 2], 24)
    images = make_images(labels, seed=0)
    groups = list(map(str, range(72)))
    limits = repeat_distances(images, labels, groups, class_names=NAMES)
    altered = images + np.random.default_rng(1).integers(0, 2, images.shape, dtype=np.uint8)
    for label, limit in enumerate(limits.values()):
        small, other = (thumbnails(x[labels == label]) for x in (images, altered))
        between = np.linalg.norm(small[:, None] - small, axis=2)
        assert 0 < limit < between[~np.eye(24, dtype=bool)].min()
        assert np.linalg.norm(small - other, axis=1).max() < limit


def test_first_reason_wins():
    scores = pd.DataFrame(
        {
            "label_confidence": [0.9, 0.1, 0.9, 0.1, 0.9],
            "realism": [1.0, 0.1, 0.1, 1.0, 1.0],
            "is_copy": [False, False, False, True, True],
        }
    )
    reasons = reject_by_score(scores, dict.fromkeys(ASKED, 0.5)).tolist()
    assert reasons == ["", "doubtful_class", "unrealistic", "near_copy", "near_copy"]


def thresholds(by_class, acceptance=0.9):
    """Fitted label confidence by class; realism is ten times as high."""
    labels = np.repeat(range(len(by_class)), [len(own) for own in by_class])
    confidence = np.concatenate(by_class)
    scores = pd.DataFrame({"label_confidence": confidence, "realism": 10 * confidence})
    names = NAMES[: len(by_class)]
    fitted = fit_thresholds(scores, labels, class_names=names, acceptance=acceptance)
    for own, least in zip(by_class, fitted.values(), strict=True):
        # Realism has no floor.
        expected = np.quantile(own, 1 - acceptance, method="lower") if len(own) else 0
        assert least["realism"] == pytest.approx(10 * expected)
    return [least["label_confidence"] for least in fitted.values()]


def test_the_stated_share_of_real_images_passes_and_hard_classes_are_asked_for_less():
    rng = np.random.default_rng(0)
    easy, hard, usual = rng.uniform(0.8, 1, 95), rng.uniform(0.4, 1, 33), rng.uniform(0.6, 1, 10)
    found = thresholds([easy, hard, usual])
    assert found[1] < found[2] < found[0]
    for own, least in zip((easy, hard, usual), found, strict=True):
        assert 0.9 <= (own >= least).mean() < 0.9 + 2 / len(own)
    assert thresholds([easy, hard, usual], acceptance=0.5)[0] > found[0]


def test_no_class_is_asked_for_less_than_chance_and_a_small_one_takes_its_least():
    assert thresholds([np.full(20, 0.1), np.full(20, 0.9)]) == [0.5, 0.9]
    many, few = np.linspace(0.9, 1, 91), np.array([0.8, 0.6, 0.7, 0.9])
    assert thresholds([many, few])[1] == 0.6
    assert thresholds([many, few[:0]])[1] == 0.5
