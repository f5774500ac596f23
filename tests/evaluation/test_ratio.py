import pandas as pd

from ganaug.evaluation import ratio
from ganaug.evaluation.ratio import Ratio, choose_ratio


def test_none_is_chosen_unless_a_share_did_better():
    assert Ratio({0: 0.7, 0.5: 0.72, 1: 0.71}).chosen == 0.5
    assert Ratio({0: 0.72, 0.5: 0.7, 1: 0.71}).chosen == 0
    assert Ratio({0: 0.7, 0.5: 0.7}).chosen == 0
    assert Ratio({0: 0.72, 0.5: 0.7, 1: 0.71}).measured == 1
    assert Ratio({0: 0.5, 2: 0.7, 1: 0.7}).measured == 1  # of equals the least


def test_candidates_are_compared_on_val_alone_with_seeds_of_their_own(monkeypatch):
    asked = {}

    def scores(runs, sets, splits, *, seed, **_):
        asked.update(runs=runs, splits=splits, seed=seed)
        table = {"ratio": [r.ratio for r in runs], "macro_f1": [r.ratio / 10 for r in runs]}
        table["fit_seconds"] = [2.0] * len(runs)
        return pd.DataFrame(table)

    monkeypatch.setattr(ratio, "score_runs", scores)
    found = choose_ratio((0, 0.5, 2), {}, recipe=None, seed=0, num_workers=1)
    assert found.val_macro_f1 == {0: 0, 0.5: 0.05, 2: 0.2}
    assert found.fit_seconds == 2.0 * len(asked["runs"])
    assert asked["splits"] == ["val"]
    assert asked["seed"] != 0
    assert {(run.ratio, run.arm) for run in asked["runs"]} == {(0, "B"), (0.5, "D"), (2, "D")}
    assert {run.network for run in asked["runs"]} == {"cnn", "linear"}
