import pytest

from ganaug.curating.targets import synthetic_targets

REAL = {"common": 100, "rare": 10}


@pytest.mark.parametrize(
    ("strategy", "amount", "expected"),
    [
        ("balance", 1.0, {"common": 0, "rare": 90}),
        ("balance", 1.5, {"common": 50, "rare": 140}),
        ("balance", 0.5, {"common": 0, "rare": 40}),
        ("per_class", 7, {"common": 7, "rare": 7}),
        ("ratio", 0.25, {"common": 25, "rare": 3}),
    ],
)
def test_targets(strategy, amount, expected):
    assert synthetic_targets(REAL, strategy=strategy, amount=amount) == expected
