import numpy as np
import pytest

from ganaug.evaluation import distances
from ganaug.evaluation.neighbours import closest_pairs, leave_one_out, nearest
from tests.reference import memorisation as reference


@pytest.fixture(params=[1024, 5], ids=["one block", "many blocks"])
def clouds(request, monkeypatch):
    monkeypatch.setattr(distances, "BLOCK_ROWS", request.param)
    rng = np.random.default_rng(0)
    return rng.normal(size=(12, 4)).astype(np.float32), rng.normal(size=(18, 4)).astype(np.float32)


def test_nearest_equals_the_loop(clouds):
    queries, pool = clouds
    found = nearest(queries, pool)
    expected = [reference.nearest(query, pool) for query in queries]
    assert found.indices.tolist() == [index for index, _ in expected]
    np.testing.assert_allclose(found.distances, [d for _, d in expected], rtol=1e-5)


def test_leave_one_out_skips_the_row_itself(clouds):
    _, pool = clouds
    found = leave_one_out(pool)
    assert (found.indices != np.arange(len(pool))).all()
    expected = [reference.nearest(x, reference.others(pool, i))[1] for i, x in enumerate(pool)]
    np.testing.assert_allclose(found.distances, expected, rtol=1e-5)


def test_duplicates_are_at_distance_zero(clouds):
    _, pool = clouds
    doubled = np.concatenate([pool, pool])
    assert leave_one_out(doubled).distances.max() < 1e-6


def test_closest_pairs_come_nearest_first(clouds):
    queries, pool = clouds
    queries = np.concatenate([queries, pool[3:4]])
    pairs = closest_pairs(queries, pool, k=5)
    assert (pairs[0].synthetic, pairs[0].train) == (12, 3)
    assert [p.distance for p in pairs] == sorted(p.distance for p in pairs)
    assert len(pairs) == 5
    assert len(closest_pairs(queries, pool, k=99)) == 13


def test_no_query_gives_nothing(clouds):
    queries, pool = clouds
    assert closest_pairs(queries[:0], pool) == []
