from ganaug.curating.targets import synthetic_targets


def test_targets():
    for strategy, amount, common, rare in (
        ("balance", 1.0, 0, 90),
        ("balance", 1.5, 50, 140),
        ("balance", 0.5, 0, 40),
        ("per_class", 7, 7, 7),
        ("ratio", 0.25, 25, 3),
    ):
        found = synthetic_targets({"common": 100, "rare": 10}, strategy=strategy, amount=amount)
        assert found == {"common": common, "rare": rare}, (strategy, amount)
