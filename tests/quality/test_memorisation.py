import numpy as np
import pytest

from ganaug.quality.memorisation import (
    FEWEST_JUDGED,
    NEAR_COPY_RATIO,
    allowed_high,
    copying_z,
    measure_memorisation,
)
from ganaug.quality.neighbours import nearest_others
from tests.reference import memorisation as reference

DIM = 8


def groups(num_groups, per_group, *, seed, spread=3.0):
    """Rows in groups (modules, patients): members lie near their group's own centre."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(num_groups, 1, DIM)) * spread
    rows = centres + rng.normal(size=(num_groups, per_group, DIM))
    return rows.astype(np.float32)


def case():
    """Train and unseen rows of the same ten groups, and a hold-out of ten other groups."""
    same = groups(10, 24, seed=0)
    return (
        same[:, :16].reshape(-1, DIM),
        same[:, 16:].reshape(-1, DIM),
        groups(10, 10, seed=1).reshape(-1, DIM),
    )


def measure(synthetic):
    train, _, holdout = case()
    return measure_memorisation(synthetic, train, holdout)


def test_unseen_images_of_the_training_groups_are_not_called_copies():
    _, unseen, _ = case()
    found = measure(unseen)
    for share in ("authentic", "near_copies"):
        assert found[share] == pytest.approx(found[f"{share}_real"], abs=0.1)
    assert found["passed"]


def test_images_of_other_groups_pass():
    _, _, holdout = case()
    found = measure(holdout + np.float32(0.01))
    assert found["copying_z"] == pytest.approx(0, abs=0.5)
    assert found["passed"]


def test_copies_trip_the_gate():
    train, _, _ = case()
    found = measure(train + np.float32(0.02))
    assert found["near_copies"] == 1
    assert found["authentic"] == 0
    assert found["nearest_ratio"] < 0.1
    assert found["authentic_high"] < 0.1
    assert found["copying_z"] < -5
    assert not found["passed"]


def test_loose_copies_that_are_no_near_copies_trip_the_gate():
    train, _, _ = case()
    noise = np.random.default_rng(5).normal(size=train.shape).astype(np.float32)
    norm = np.linalg.norm(noise, axis=1, keepdims=True)
    reach = nearest_others(train, k=1)[0].astype(np.float32)
    found = measure(train + noise / norm * reach * np.float32(0.6))
    assert found["near_copies"] == 0
    assert found["authentic"] == 0
    assert not found["passed"]


def test_far_images_of_the_training_groups_are_no_copies():
    """A poor generator's samples: in the direction of the training groups, but far from all."""
    train, unseen, _ = case()
    found = measure(unseen + np.float32(3) * (unseen - train.mean(axis=0)))
    assert found["nearest_ratio"] > 1
    assert found["passed"]


def test_a_tenth_of_copies_among_good_images_trips_the_gate():
    train, unseen, _ = case()
    found = measure(np.concatenate([unseen[:72], train[:8] + np.float32(0.02)]))
    assert found["near_copies"] == pytest.approx(0.1, abs=0.03)
    assert not found["passed"]


def test_figures_equal_the_loops():
    train, unseen, holdout = case()
    synthetic = np.concatenate([unseen[:20], train[:5] + np.float32(0.3)])
    found = measure(synthetic)
    assert found["authentic"] == np.mean(reference.authentic(synthetic, train))
    assert found["near_copies"] == reference.near_copies(synthetic, train, NEAR_COPY_RATIO)
    assert found["near_copies_real"] == reference.near_copies_real(train, NEAR_COPY_RATIO)
    to_train = [reference.nearest(x, train)[1] for x in synthetic]
    held_out = [reference.nearest(x, train)[1] for x in holdout]
    assert found["copying_z"] == pytest.approx(reference.copying_z(to_train, held_out), abs=1e-6)


def test_ties_count_half_in_the_z():
    assert copying_z(np.array([1.0, 2.0]), np.array([1.0, 2.0])) == 0


def across(synthetic, **options):
    """The gate where training images come in ten groups."""
    train, _, holdout = case()
    groups = np.repeat(np.arange(10), 16)
    return measure_memorisation(synthetic, train, holdout, groups=groups, **options)


def test_the_floor_is_taken_across_groups():
    """Twins within a group are no excuse for copies."""
    train, _, holdout = case()
    twins = np.concatenate([train, train + np.float32(1e-3)])
    groups = np.tile(np.repeat(np.arange(10), 16), 2)
    made = train[:40] + np.float32(1e-4)
    assert measure_memorisation(made, twins, holdout)["near_copies_real"] == 1
    found = measure_memorisation(made, twins, holdout, groups=groups)
    assert found["near_copies_real"] < 0.1
    assert not found["passed"]
    # A single group has no other: each image stands for itself.
    alone = measure_memorisation(made, twins, holdout, groups=np.zeros(len(twins), int))
    assert alone["near_copies_real"] == 1


def test_the_floor_across_groups_equals_the_loop():
    train, _, holdout = case()
    groups = np.repeat(np.arange(10), 16)
    hits = 0
    for x, own in zip(train, groups, strict=True):
        index, d = reference.nearest(x, train[groups != own])
        rest = train[groups != own]
        hits += (
            d < NEAR_COPY_RATIO * reference.nearest(rest[index], reference.others(rest, index))[1]
        )
    assert across(holdout)["near_copies_real"] == pytest.approx(hits / len(train))


def test_flipped_copies_are_copies_where_flips_are_known():
    train, _, _ = case()
    made = train[:, ::-1] + np.float32(0.01)
    assert across(made)["passed"]
    found = across(made, variants=lambda x: (x, x[:, ::-1]))
    assert found["near_copies"] == 1
    assert not found["passed"]


@pytest.mark.parametrize("number", [16, 30, 100])
def test_a_small_clean_pool_passes(number):
    fresh = groups(10, 20, seed=7).reshape(-1, DIM)
    found = across(fresh[:number])
    assert found["passed"], found
    assert not found["too_few"]


def test_a_small_pool_with_a_few_copies_does_not_pass_nor_one_too_small_to_tell():
    train, _, _ = case()
    fresh = groups(10, 20, seed=7).reshape(-1, DIM)
    copies = train[:5] + np.float32(0.01)
    assert not across(np.concatenate([fresh[:35], copies]))["passed"]
    few = across(fresh[: FEWEST_JUDGED - 1])
    assert (few["passed"], few["too_few"]) == (False, True)


def test_the_allowed_bound_is_the_margin_in_large_pools_and_chance_in_small_ones():
    assert allowed_high(0.0, 10_000, margin=0.01) == pytest.approx(0.01)
    assert allowed_high(0.0, 100, margin=0.01) == pytest.approx(0.026, abs=1e-3)  # none of 100
    assert allowed_high(0.2, 100, margin=0.01) > 0.3


def test_duplicated_training_images_give_no_infinite_figure():
    train, unseen, holdout = case()
    doubled = np.concatenate([train, train])
    found = measure_memorisation(unseen, doubled, holdout)
    assert np.isfinite(found["nearest_ratio"])
    assert found["near_copies_real"] == 1
