from itertools import islice

import numpy as np
import pytest

from ganaug.evaluation.batches import SyntheticPool, endless_batches


def data(n, *, first=0):
    """`n` images whose only pixel is their number."""
    numbers = np.arange(first, first + n, dtype=np.uint8)
    return numbers.reshape(n, 1, 1, 1), (numbers % 3).astype(np.int64)


def numbers_of(batches):
    return np.concatenate([batch.images[:, 0, 0, 0] for batch in batches])


def take(num_batches, *, n=12, batch_size=4, class_balanced=False, labels=None, **options):
    images, own_labels = data(n)
    options = {"synthetic": None, "seed": 0} | options
    batches = endless_batches(
        images,
        own_labels if labels is None else labels,
        batch_size=batch_size,
        class_balanced=class_balanced,
        **options,
    )
    return list(islice(batches, num_batches))


def pool(n=6, fraction=0.5):
    images, labels = data(n, first=100)
    return SyntheticPool(images, labels, np.full(n, 0.25, np.float32), fraction)


def test_every_image_comes_once_per_round_in_a_new_order():
    rounds = numbers_of(take(6)).reshape(2, 12)
    np.testing.assert_array_equal(np.sort(rounds, axis=1), [np.arange(12)] * 2)
    assert (rounds[0] != rounds[1]).any()


def test_rounds_span_batches_of_any_size():
    assert sorted(numbers_of(take(12, batch_size=5)).tolist()) == sorted([*range(12)] * 5)


def test_balanced_batches_draw_rare_classes_as_often_as_common_ones():
    labels = np.repeat([0, 2], [10, 2])  # no image of class 1
    drawn = np.concatenate([b.labels for b in take(10, labels=labels, class_balanced=True)])
    assert np.bincount(drawn).tolist() == [20, 0, 20]
    common = numbers_of(take(5, labels=labels, class_balanced=True))
    assert len(set(common[common < 10].tolist())) == 10  # all ten before any twice


def test_the_synthetic_share_is_fixed_and_carries_its_weights():
    for batch in take(5, batch_size=8, synthetic=pool(fraction=0.25)):
        synthetic = batch.images[:, 0, 0, 0] >= 100
        assert synthetic.tolist() == [False] * 6 + [True] * 2
        assert batch.weights.tolist() == [1] * 6 + [0.25] * 2


def test_a_full_share_leaves_no_real_image():
    assert (numbers_of(take(4, synthetic=pool(fraction=1))) >= 100).all()


def test_labels_stay_with_their_images():
    for batch in take(4, synthetic=pool()):
        np.testing.assert_array_equal(batch.labels, batch.images[:, 0, 0, 0] % 3)


def test_the_pool_changes_no_real_order_and_the_seed_decides():
    alone = numbers_of(take(6, batch_size=2))
    mixed = numbers_of(take(6, batch_size=4, synthetic=pool())).reshape(6, 4)[:, :2].ravel()
    np.testing.assert_array_equal(alone, mixed)
    assert (numbers_of(take(6, batch_size=2, seed=1)) != alone).any()


@pytest.mark.parametrize(("fraction", "number"), [(0.01, 1), (0.99, 3)])
def test_a_mix_holds_both_however_small_the_share(fraction, number):
    (batch,) = take(1, synthetic=pool(fraction=fraction))
    assert (batch.images >= 100).sum() == number
