import numpy as np
import pytest

from ganaug.quality.neighbours import Cells, copy_ratios, nearest, nearest_others
from tests.reference import memorisation as reference


@pytest.fixture
def clouds():
    rng = np.random.default_rng(0)
    return rng.normal(size=(12, 4)).astype(np.float32), rng.normal(size=(18, 4)).astype(np.float32)


def test_nearest_equals_the_loop(clouds):
    queries, pool = clouds
    distances, indices = nearest(queries, pool)
    expected = [reference.nearest(query, pool) for query in queries]
    assert indices.tolist() == [index for index, _ in expected]
    np.testing.assert_allclose(distances, [d for _, d in expected], rtol=1e-5)


def test_the_nearest_other_is_never_the_row_itself(clouds):
    _, pool = clouds
    distances, indices = nearest_others(pool, k=2)
    assert (indices != np.arange(len(pool))[:, None]).all()
    expected = [reference.nearest(x, reference.others(pool, i))[1] for i, x in enumerate(pool)]
    np.testing.assert_allclose(distances[:, 0], expected, rtol=1e-5)
    assert (distances[:, 0] < distances[:, 1]).all()


def test_duplicates_are_at_distance_zero_and_their_ratio_is_finite(clouds):
    _, pool = clouds
    distances, ratios = copy_ratios(np.concatenate([pool, pool]))
    assert distances.max() < 1e-6
    assert np.isfinite(ratios).all()


def test_the_copy_ratio_leaves_the_image_itself_out():
    # On a line: 0 and 1 are nearest to each other; without 0, the nearest to 1 is 5, at 4.
    _, ratios = copy_ratios(np.array([[0.0], [1.0], [5.0]]))
    assert ratios == pytest.approx([1 / 4, 1 / 5, 4 / 1])


def test_cells_find_what_looking_at_all_does_and_copies_always():
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(6000, 4)) @ rng.normal(size=(4, 24))  # on few axes, as features are
    cells = Cells(rows, np.arange(0, 6000, 10))
    queries = rng.normal(size=(300, 4)) @ rng.normal(size=(4, 24))
    exact, indices = nearest(queries, rows)
    distances, found = cells.nearest(queries)
    assert (found == indices).mean() > 0.98
    assert (distances >= exact - 1e-9).all()
    assert np.quantile(distances / exact, 0.99) < 1.1
    asked = np.arange(0, 6000, 37)
    copies = rows[asked] + 1e-6
    assert cells.nearest(copies)[1].tolist() == asked.tolist()
    reach, others = cells.nearest(rows[asked], but=asked)
    assert (others != asked).all()
    np.testing.assert_allclose(
        np.median(reach), np.median(nearest(rows[asked], rows, but=asked)[0])
    )


@pytest.mark.parametrize("distinct", [1, 3, 1200])
def test_cells_whose_centres_coincide_find_the_nearest_row(distinct):
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(2000, 4))
    rows[rng.permutation(2000)[: 2000 - distinct]] = 0.0
    cells = Cells(rows, np.arange(0, 2000, 2))
    distances, found = cells.nearest(rows[:200] + 1e-3)
    assert (distances < 0.01).all()
    np.testing.assert_array_equal(rows[found], rows[:200])


def test_asking_of_some_rows_gives_what_asking_of_all_does(clouds, monkeypatch):
    _, pool = clouds
    asked = np.array([3, 4, 17])
    distances, indices = nearest_others(pool, k=2)
    reach, ratios = copy_ratios(pool)
    monkeypatch.setattr("ganaug.quality.neighbours.MOST_DISTANCES", 40)  # two rows at a time
    some, their_indices = nearest_others(pool, k=2, asked=asked)
    their_reach, their_ratios = copy_ratios(pool, asked=asked)
    assert their_indices.tolist() == indices[asked].tolist()
    np.testing.assert_allclose(some, distances[asked])
    np.testing.assert_allclose(their_reach, reach[asked])
    np.testing.assert_allclose(their_ratios, ratios[asked])


def test_no_query_gives_nothing(clouds):
    queries, pool = clouds
    assert [len(part) for part in nearest(queries[:0], pool)] == [0, 0]
