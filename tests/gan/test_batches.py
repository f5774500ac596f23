import numpy as np
import torch

from ganaug.gan import batches
from ganaug.gan.batches import RealBatches
from ganaug.gan.networks import STATISTICS_GROUP

CPU = torch.device("cpu")


def make(labels, **changes):
    images = np.arange(len(labels), dtype=np.uint8)[:, None, None, None].repeat(4, 1).repeat(4, 2)
    options = {
        "batch_size": 64,
        "class_exponent": 0.5,
        "flips": (),
        "seed": 0,
        "device": CPU,
    } | changes
    return RealBatches(images, np.array(labels), **options)


def test_batch_is_a_function_of_seed_and_step():
    labels = [0] * 20 + [1] * 20
    first, again = make(labels).draw(7), make(labels).draw(7)
    assert torch.equal(first[0], again[0])
    assert not torch.equal(first[0], make(labels).draw(8)[0])
    assert not torch.equal(first[0], make(labels, seed=1).draw(7)[0])


def test_labels_belong_to_their_images():
    images, labels = make([0] * 20 + [1] * 20).draw(0)
    pixel = ((images[:, 0, 0, 0] + 1) * 127.5).round()
    assert torch.equal((pixel >= 20).long(), labels)


def test_each_group_holds_one_class_and_distinct_images():
    images, labels = make([0] * 20 + [1] * 20).draw(0)
    for start in range(0, 64, STATISTICS_GROUP):
        group = slice(start, start + STATISTICS_GROUP)
        assert labels[group].unique().numel() == 1
        assert images[group, 0, 0, 0].unique().numel() == STATISTICS_GROUP


def test_exponent_tempers_the_class_shares():
    labels = [0] * 90 + [1] * 10

    def share_of_rare(exponent):
        drawn = make(labels, class_exponent=exponent)
        return np.mean([drawn.draw(step)[1].float().mean() for step in range(300)])

    assert abs(share_of_rare(0.0) - 0.5) < 0.03
    assert abs(share_of_rare(0.5) - 0.25) < 0.03  # 10**.5 / (90**.5 + 10**.5)
    assert abs(share_of_rare(1.0) - 0.1) < 0.03


def test_class_smaller_than_a_group_repeats_images():
    images, labels = make([0] * 20 + [1] * 3, class_exponent=0.0).draw(0)
    assert images[labels == 1, 0, 0, 0].unique().numel() == 3


def test_flips_turn_about_half_of_the_images():
    images = np.zeros((40, 4, 4, 1), dtype=np.uint8)
    images[:, 0, 1] = 255  # neither flip leaves it where it is
    flipping = RealBatches(
        images,
        np.zeros(40, dtype=np.int64),
        batch_size=64,
        class_exponent=0.5,
        flips=("hflip", "vflip"),
        seed=0,
        device=CPU,
    )
    bright = flipping.draw(0)[0][:, 0] > 0
    corners = [(0, 1), (0, 2), (3, 1), (3, 2)]
    counts = [int(bright[:, y, x].sum()) for y, x in corners]
    assert sum(counts) == 64
    assert min(counts) >= 6  # of 16 expected


def test_look_takes_as_many_of_each_class(monkeypatch):
    monkeypatch.setattr(batches, "LOOKED_AT_ONCE", 4)
    looked = list(make([0] * 200 + [1] * 20).look(10))
    labels = torch.cat([labels for _, labels in looked])
    assert labels.tolist() == [0] * 10 + [1] * 10
    assert max(len(images) for images, _ in looked) == 4
    assert looked[0][0].shape == (4, 1, 4, 4)
    pixels = torch.cat([images[:, 0, 0, 0] for images, _ in looked])
    rows = make([0] * 200 + [1] * 20).looked_at(10)
    assert ((pixels + 1) * 127.5).round().tolist() == rows.tolist()


def test_images_lie_in_memory_once_and_batches_as_networks_want_them():
    images = np.zeros((40, 4, 4, 3), dtype=np.uint8)
    options = {"batch_size": 16, "class_exponent": 0.5, "flips": (), "seed": 0, "device": CPU}
    drawn = RealBatches(images, np.zeros(40, dtype=np.int64), **options)
    images[:, 0, 1, 2] = 255  # seen, for it is the same memory
    batch, _ = drawn.draw(0)
    assert batch.shape == (16, 3, 4, 4)
    assert batch.stride() == (48, 16, 4, 1)
    assert batch[:, 2, 0, 1].min() == 1
    assert batch.sum() == 16 * (2 - 48)


def test_mapped_images_give_the_same_batches_in_any_order_of_steps(tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (40, 4, 4, 1), dtype=np.uint8)
    labels = np.repeat([0, 1], 20)
    np.save(tmp_path / "images.npy", images)
    options = {"batch_size": 16, "class_exponent": 0.5, "flips": ("hflip",), "seed": 0}
    resident = RealBatches(images, labels, device=CPU, **options)
    on_disk = np.load(tmp_path / "images.npy", mmap_mode="r")
    mapped = RealBatches(on_disk, labels, device=CPU, **options)
    for step in (0, 1, 2, 7, 8, 3, 3):
        for expected, given in zip(resident.draw(step), mapped.draw(step), strict=True):
            assert torch.equal(expected, given)
    assert torch.equal(next(resident.look(10))[0], next(mapped.look(10))[0])
