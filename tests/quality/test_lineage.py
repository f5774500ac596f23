import pandas as pd
import pytest

from ganaug.quality.lineage import origin_rows

IDS, LABELS = ["a", "b", "c"], [0, 0, 1]


@pytest.mark.parametrize("ids", [IDS, pd.Index(IDS, dtype=object)])
def test_the_first_parent_counts_if_it_is_of_another_class(ids):
    parents = pd.Series(["b a", "c", "c", "x", None])
    found = origin_rows(parents, pd.Series([1, 0, 1, 1, 1]).to_numpy(), ids, LABELS)
    assert found.tolist() == [1, 2, -1, -1, -1]


def test_an_index_keeps_its_hash_table(monkeypatch):
    ids, asked = pd.Index(IDS, dtype=object), []
    monkeypatch.setattr(pd.Index, "get_indexer", lambda own, _: asked.append(own) or pd.array([0]))
    origin_rows(pd.Series(["a"]), pd.Series([1]).to_numpy(), ids, LABELS)
    assert asked[0] is ids
