import numpy as np
import pytest

from ganaug.curating.comparing import Apart, RealNeighbours, repeat_distances
from ganaug.thumbnails import thumbnails


@pytest.fixture
def real():
    return np.random.default_rng(0).standard_normal((200, 4))


def test_real_like_images_are_realistic_and_far_ones_are_not(real):
    neighbours = RealNeighbours(real)
    fresh = np.random.default_rng(1).standard_normal((200, 4))
    assert np.median(neighbours.locate(fresh).realism) > 0.8
    assert neighbours.locate(fresh + 20).realism.max() < 0.1


def test_realism_is_the_radius_over_the_distance():
    # On a line every ball of a middle point that holds 3 neighbours has radius 2.
    neighbours = RealNeighbours(np.arange(11.0)[:, None])
    position = neighbours.locate(np.array([[5.5], [11.0], [12.0]]))
    assert position.realism.tolist() == pytest.approx([2 / 0.5, 2 / 2, 2 / 3])
    assert position.nearest.tolist() == [5, 10, 10]
    assert position.nearest_distance.tolist() == pytest.approx(
        [0.25, 0.5, 1.0]
    )  # units of the median radius


def test_copies_are_found_and_fresh_images_are_not(real):
    neighbours = RealNeighbours(real)
    noise = np.random.default_rng(2).standard_normal((200, 4))
    assert neighbours.locate(real + 1e-3 * noise).is_copy.mean() > 0.95
    assert neighbours.locate(noise).is_copy.mean() < 0.1

    assert neighbours.locate(real[:5] + 1e-6).nearest.tolist() == [0, 1, 2, 3, 4]
    assert len(neighbours.locate(np.empty((0, 4))).realism) == 0


def test_of_two_real_images_all_that_is_nearer_than_these_to_each_other_is_a_copy():
    position = RealNeighbours(np.array([[0.0], [1.0]])).locate(np.array([[0.9], [1.9], [3.0]]))
    assert position.nearest.tolist() == [1, 1, 1]
    assert position.is_copy.tolist() == [True, True, False]
    assert position.realism.tolist() == pytest.approx([1 / 0.1, 1 / 0.9, 1 / 2])


def test_a_copy_of_any_image_of_a_large_class_is_found(real, monkeypatch):
    whole = RealNeighbours(real)
    monkeypatch.setattr("ganaug.curating.comparing.MOST_BALLS", 40)
    neighbours = RealNeighbours(real)
    noise = np.random.default_rng(2).standard_normal((200, 4))
    copies = neighbours.locate(real + 1e-3 * noise)
    assert copies.is_copy.mean() > 0.95
    assert copies.nearest.tolist() == list(range(200))
    assert neighbours.locate(noise).is_copy.mean() < 0.1
    shares = [(own.locate(noise).realism >= 1).mean() for own in (whole, neighbours)]
    assert shares[1] == pytest.approx(shares[0], abs=0.1)


def test_identical_real_images_do_not_divide_by_zero():
    position = RealNeighbours(np.zeros((8, 2))).locate(np.ones((1, 2)))
    assert np.isfinite(position.realism).all()
    assert np.isfinite(position.nearest_distance).all()


def test_no_image_has_no_position(real):
    assert len(RealNeighbours(real).locate(np.empty((0, 4))).realism) == 0


def test_likeness_within_a_group_does_not_move_the_limit():
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (200, 16, 16, 1), dtype=np.uint8)
    groups = [f"g{i}" for i in range(200)]

    def limit(images, groups):
        labels = np.zeros(len(images), np.int64)
        return repeat_distances(images, labels, groups, class_names=["all"])["all"]

    alone = limit(images, groups)
    assert alone > 0
    twins = np.concatenate([images, images ^ 1])
    assert limit(twins, groups * 2) == pytest.approx(alone, rel=0.01)
    assert limit(images, ["g"] * 200) == 0


def test_blocks_do_not_move_the_limit(monkeypatch):
    rng = np.random.default_rng(1)
    images = rng.integers(0, 256, (200, 16, 16, 1), dtype=np.uint8)
    groups = [f"g{i // 2}" for i in range(200)]
    labels = np.zeros(200, np.int64)
    limits = []
    for block in (4096, 64):
        monkeypatch.setattr("ganaug.curating.comparing.BLOCK", block)
        limits += repeat_distances(images, labels, groups, class_names=["all"]).values()
    assert limits[0] == pytest.approx(limits[1], rel=1e-6)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(("block", "batch"), [(4096, 300), (16, 1), (16, 7), (64, 50)])
def test_images_are_admitted_as_by_a_plain_loop(monkeypatch, channels, block, batch):
    rng = np.random.default_rng(0)
    base = rng.integers(0, 256, (60, 16, 16, channels))
    changes = rng.integers(-40, 41, (300, 16, 16, channels))
    images = np.clip(base[rng.integers(0, 60, 300)] + changes, 0, 255).astype(np.uint8)
    small = thumbnails(images).astype(np.float64)
    distances = np.linalg.norm(small[:, None] - small, axis=2)
    close = distances[(distances > 0) & (distances < 15)]
    limit = float(np.median(close)) * 1.00003
    admitted = []
    for i in range(len(images)):
        if (distances[i, admitted] >= limit).all():
            admitted.append(i)
    assert 60 < len(admitted) < 240
    monkeypatch.setattr("ganaug.curating.comparing.BLOCK", block)
    apart = Apart(limit)
    found = [apart.admit(images[i : i + batch]) for i in range(0, len(images), batch)]
    assert np.flatnonzero(np.concatenate(found)).tolist() == admitted
