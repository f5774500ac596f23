import numpy as np
import pytest

from ganaug.downstream.batches import Pool, draw_batches, one_hot, row_weights
from ganaug.downstream.recipes import SYNTHETIC_UNTIL, Recipe

COUNTS = (12, 6, 3)  # real images by class
REAL = sum(COUNTS)
MADE = 100  # synthetic images are numbered from here


def pool(counts=COUNTS, *, first=0, unused=0):
    """Images whose only pixel is their number; the targets tell it too. The last ones lie idle."""
    labels = np.repeat(np.arange(len(counts)), counts)
    labels = np.append(labels, np.zeros(unused, np.int64))
    numbers = np.arange(first, first + len(labels))
    targets = one_hot(labels, 3) * (1 + numbers[:, None]).astype(np.float32)
    images = numbers.astype(np.uint8).reshape(-1, 1, 1, 1)
    return Pool(images, labels, targets, np.arange(len(labels) - unused))


REAL_POOL, MADE_POOL = pool(unused=4), pool((5, 5, 5), first=MADE, unused=4)


def draw(synthetic=MADE_POOL, *, batch_size=6, num_steps=14, seed=0, **recipe):
    recipe = Recipe(**recipe)
    synthetic = synthetic if recipe.share else None
    options = {"batch_size": batch_size, "num_steps": num_steps, "seed": seed}
    return list(draw_batches(REAL_POOL, synthetic, recipe=recipe, **options))


def numbers_of(batches):
    return np.concatenate([batch.images[:, 0, 0, 0] for batch in batches]).astype(int)


def classes_of(numbers):
    labels = [MADE_POOL.labels[i - MADE] if i >= MADE else REAL_POOL.labels[i] for i in numbers]
    return np.bincount(np.array(labels, int), minlength=3).tolist()


@pytest.mark.parametrize("balanced", [False, True])
def test_synthetic_images_follow_the_law_of_classes_of_the_real_ones(balanced):
    numbers = numbers_of(draw(balanced=balanced, share=0.5))  # 42 of each: two rounds
    expected = [14, 14, 14] if balanced else [2 * n for n in COUNTS]
    assert classes_of(numbers[numbers < MADE]) == expected
    assert classes_of(numbers[numbers >= MADE]) == expected
    assert classes_of(numbers_of(draw(balanced=balanced))) == [2 * n for n in expected]


def test_every_batch_holds_its_share_and_a_mix_holds_both():
    cases = ((0, 8, 0), (0.25, 8, 2), (0.5, 7, 4), (1, 8, 8), (0.01, 8, 1), (0.99, 8, 7))
    for share, batch_size, expected in cases:
        for batch in draw(share=share, batch_size=batch_size, num_steps=30):
            assert len(batch.images) == len(batch.targets) == len(batch.weights) == batch_size
            assert (batch.images >= MADE).sum() == expected


def test_by_need_gives_rare_classes_more_and_the_largest_none():
    numbers = numbers_of(draw(share=0.5, by_need=True, num_steps=700))
    real, made = (classes_of(numbers[which]) for which in (numbers < MADE, numbers >= MADE))
    assert [a + b for a, b in zip(real, made, strict=True)] == [1400] * 3
    wanted = [0.5 * (1 - n / max(COUNTS)) for n in COUNTS]  # 0, 0.25, 0.375 of each class
    assert np.divide(made, 1400) == pytest.approx(wanted, abs=0.03)
    labels = np.concatenate([REAL_POOL.labels[REAL_POOL.rows], [0, 1, 2]])
    is_made = np.arange(len(labels)) >= REAL
    weights = row_weights(labels, is_made, Recipe(share=0.5, by_need=True))
    by_class = np.bincount(labels, weights * is_made) / np.bincount(labels, weights)
    assert by_class == pytest.approx(wanted)


def test_the_schedule_first_ends_in_real_images_alone():
    batches = draw(share=0.5, schedule="first", num_steps=20)
    made = [int((batch.images >= MADE).sum()) for batch in batches]
    assert made == [3] * 14 + [0] * 6
    assert SYNTHETIC_UNTIL == 0.7


@pytest.mark.parametrize("balanced", [False, True])
def test_every_image_of_a_class_comes_once_before_any_again(balanced):
    numbers = numbers_of(draw(balanced=balanced, share=0.5, num_steps=140))
    for own, first in ((REAL_POOL, 0), (MADE_POOL, MADE)):
        for label in range(3):
            members = set((own.rows[own.labels[own.rows] == label] + first).tolist())
            drawn = [int(n) for n in numbers if n in members]
            rounds = [drawn[i : i + len(members)] for i in range(0, len(drawn), len(members))][:-1]
            assert len(rounds) > 3
            assert all(set(one) == members for one in rounds)
            assert len(set(map(tuple, rounds))) > 1  # in a new order each time


def test_classes_as_they_come_use_all_images_once_a_round():
    rounds = numbers_of(draw(balanced=False)).reshape(-1, REAL)
    np.testing.assert_array_equal(np.sort(rounds, axis=1), [np.arange(REAL)] * len(rounds))


def test_rows_that_are_not_used_never_appear():
    for recipe in ({}, {"balanced": False}, {"share": 0.5}, {"share": 0.5, "balanced": False}):
        numbers = set(numbers_of(draw(**recipe, num_steps=60)).tolist())
        made = set(range(MADE, MADE + 15)) if "share" in recipe else set()
        assert numbers == set(range(REAL)) | made


def test_a_class_without_synthetic_images_keeps_real_ones():
    few = pool((5, 5), first=MADE)
    numbers = numbers_of(draw(few, share=0.5, balanced=False))
    assert classes_of(numbers) == [4 * n for n in COUNTS]
    assert (numbers >= MADE).sum() == 2 * sum(COUNTS[:2])
    for batch in draw(few, share=0.5, weight=0.3):  # and their weight
        np.testing.assert_array_equal(batch.weights == 1, batch.images[:, 0, 0, 0] < MADE)


def test_without_real_images_there_are_none_and_no_class_of_theirs():
    few = pool((5, 5), first=MADE)
    for balanced in (False, True):
        numbers = numbers_of(draw(few, real=False, share=1, balanced=balanced, num_steps=30))
        assert (numbers >= MADE).all()
        assert classes_of(numbers) == ([90, 90, 0] if balanced else [120, 60, 0])


def test_targets_and_weights_go_with_their_images():
    for batch in draw(share=0.5, weight=0.3):
        numbers = batch.images[:, 0, 0, 0].astype(int)
        np.testing.assert_array_equal(batch.targets.sum(axis=1), 1 + numbers)
        np.testing.assert_allclose(batch.weights, np.where(numbers >= MADE, 0.3, 1))
        assert (batch.targets.dtype, batch.weights.dtype) == (np.float32, np.float32)


@pytest.mark.parametrize("balanced", [False, True])
def test_recipes_with_equal_seeds_meet_the_same_real_images_in_the_same_order(balanced):
    def real(**options):
        numbers = numbers_of(draw(balanced=balanced, **options))
        return numbers[numbers < MADE].tolist()

    alone = real(batch_size=3)
    for change in ({}, {"weight": 0.3}, {"mixup": True}, {"soft_labels": True}):
        assert real(share=0.5, **change) == alone
    assert real(share=0.5, schedule="first")[:30] == alone[:30]
    assert real(share=0.5, seed=1) != alone


def test_one_hot_targets_are_the_rows_of_the_identity():
    assert one_hot(np.array([2, 0]), 3).tolist() == [[0, 0, 1], [1, 0, 0]]
