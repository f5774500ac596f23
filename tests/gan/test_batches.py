import numpy as np
import torch

from ganaug.gan import batches
from ganaug.gan.batches import STATISTICS_GROUP, RealBatches

EVEN = [0] * 20 + [1] * 20


def make(labels, images=None, **changes):
    """Batches of images [4, 4, 1], of which each shows its own row's number."""
    if images is None:
        rows = np.arange(len(labels), dtype=np.uint8)
        images = np.broadcast_to(rows[:, None, None, None], (len(labels), 4, 4, 1)).copy()
    options = {"batch_size": 64, "class_exponent": 0.5, "flips": (), "seed": 0} | changes
    return RealBatches(images, np.array(labels), device=torch.device("cpu"), **options)


def rows_of(images):
    """The row that each image shows."""
    return ((images[:, 0, 0, 0] + 1) * 127.5).round().long()


def test_batch_is_a_function_of_seed_and_step():
    first = make(EVEN).draw(7)[0]
    assert torch.equal(first, make(EVEN).draw(7)[0])
    assert not torch.equal(first, make(EVEN).draw(8)[0])
    assert not torch.equal(first, make(EVEN, seed=1).draw(7)[0])


def test_each_group_holds_one_class_and_distinct_images_with_their_labels():
    images, labels = make(EVEN).draw(0)
    assert torch.equal((rows_of(images) >= 20).long(), labels)
    for group in range(0, 64, STATISTICS_GROUP):
        own = slice(group, group + STATISTICS_GROUP)
        assert labels[own].unique().numel() == 1
        assert rows_of(images[own]).unique().numel() == STATISTICS_GROUP


def test_exponent_tempers_the_class_shares_and_a_small_class_repeats_images():
    for exponent, share in ((0.0, 0.5), (0.5, 0.25), (1.0, 0.1)):  # 10**.5 / (90**.5 + 10**.5)
        drawn = make([0] * 90 + [1] * 10, class_exponent=exponent)
        found = np.mean([drawn.draw(step)[1].float().mean() for step in range(300)])
        assert abs(found - share) < 0.03, exponent
    images, labels = make([0] * 20 + [1] * 3, class_exponent=0.0).draw(0)
    assert rows_of(images[labels == 1]).unique().numel() == 3


def test_flips_turn_about_half_of_the_images():
    images = np.zeros((40, 4, 4, 1), dtype=np.uint8)
    images[:, 0, 1] = 255  # neither flip leaves it where it is
    bright = make([0] * 40, images, flips=("hflip", "vflip")).draw(0)[0][:, 0] > 0
    counts = [int(bright[:, y, x].sum()) for y, x in [(0, 1), (0, 2), (3, 1), (3, 2)]]
    assert sum(counts) == 64
    assert min(counts) >= 6  # of 16 expected


def test_look_takes_as_many_of_each_class(monkeypatch):
    monkeypatch.setattr(batches, "LOOKED_AT_ONCE", 4)
    real = make([0] * 200 + [1] * 20)
    looked = list(real.look(10))
    assert torch.cat([labels for _, labels in looked]).tolist() == [0] * 10 + [1] * 10
    assert max(len(images) for images, _ in looked) == 4
    assert looked[0][0].shape == (4, 1, 4, 4)
    images, labels, rows = real.examples(10)
    assert torch.equal(images, torch.cat([images for images, _ in looked]))
    assert labels.tolist() == [0] * 10 + [1] * 10
    assert torch.equal(rows_of(images), rows)


def test_images_lie_in_memory_once_and_batches_as_networks_want_them():
    images = np.zeros((40, 4, 4, 3), dtype=np.uint8)
    drawn = make([0] * 40, images, batch_size=16)
    images[:, 0, 1, 2] = 255  # seen, for it is the same memory
    batch, _ = drawn.draw(0)
    assert batch.shape == (16, 3, 4, 4)
    assert batch.stride() == (48, 16, 4, 1)
    assert batch[:, 2, 0, 1].min() == 1
    assert batch.sum() == 16 * (2 - 48)


def test_mapped_images_give_the_same_batches_in_any_order_of_steps(tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (40, 4, 4, 1), dtype=np.uint8)
    np.save(tmp_path / "images.npy", images)
    on_disk = np.load(tmp_path / "images.npy", mmap_mode="r")
    resident, mapped = (make(EVEN, x, batch_size=16, flips=("hflip",)) for x in (images, on_disk))
    for step in (0, 1, 2, 7, 8, 3, 3):
        assert all(map(torch.equal, resident.draw(step), mapped.draw(step))), step
    assert torch.equal(next(resident.look(10))[0], next(mapped.look(10))[0])
