import numpy as np
import pytest
import torch
from prdc import compute_prdc
from torchmetrics.image.kid import poly_mmd

from ganaug.quality import distances
from ganaug.quality.distances import METRICS, fid, kid, per_class, prdc
from tests.reference import distances as reference


def clouds(num_real=60, num_synthetic=60, *, shift=0.3, dim=16, seed=0):
    rng = np.random.default_rng(seed)
    real = rng.normal(size=(num_real, dim)).astype(np.float32)
    synthetic = (rng.normal(size=(num_synthetic, dim)) + shift).astype(np.float32)
    return real, synthetic


def rng():
    return np.random.default_rng(7)


def test_kid_equals_torchmetrics_on_the_whole_sample():
    real, synthetic = clouds()
    theirs = poly_mmd(torch.from_numpy(real).double(), torch.from_numpy(synthetic).double())
    assert kid(real, synthetic) == pytest.approx(float(theirs), abs=1e-5)


@pytest.mark.parametrize("num_synthetic", [23, 40])
def test_kid_equals_the_paper_also_at_unequal_sizes(num_synthetic):
    real, synthetic = clouds(30, num_synthetic)
    assert kid(real, synthetic) == pytest.approx(reference.kid(real, synthetic), abs=1e-5)


def test_kid_is_zero_on_average_for_one_distribution_and_clearly_above_for_a_shifted_one():
    same = [kid(*clouds(shift=0, seed=s)) for s in range(40)]
    assert abs(np.mean(same)) < 3 * np.std(same) / np.sqrt(40)
    assert min(same) < 0  # unbiased, so not clipped
    assert kid(*clouds(shift=0.5)) > max(same)


def test_the_spread_of_kid_is_drawn_from_its_own_seed_only():
    def spread(seed):
        labels = np.zeros(60, np.int64)
        found = per_class(real, labels, synthetic, labels, class_names=["a"], seed=seed)
        return found["classes"]["a"]["kid_std"]

    real, synthetic = clouds()
    first = spread(7)
    np.random.seed(3)  # noqa: NPY002
    assert spread(7) == first > 0
    assert spread(8) != first


@pytest.mark.parametrize("k", [3, 5])
def test_prdc_equals_its_authors_package_and_the_papers(k):
    real, synthetic = clouds()
    ours = prdc(real, synthetic, k=k, rng=rng())
    theirs = compute_prdc(real, synthetic, k)
    assert ours == pytest.approx(theirs, abs=1e-5)
    assert ours == pytest.approx(reference.prdc(real, synthetic, k), abs=1e-5)
    assert 0 < ours["coverage"] < 1  # the case is not a trivial one


def test_prdc_of_copies_is_perfect_and_of_one_repeated_image_shows_the_collapse():
    real, _ = clouds()
    copied = prdc(real, real.copy(), rng=rng())
    assert (copied["precision"], copied["recall"], copied["coverage"]) == (1, 1, 1)
    collapsed = prdc(real, np.repeat(real[:1], 60, axis=0), rng=rng())
    assert collapsed["precision"] == 1
    assert collapsed["recall"] == 0
    assert collapsed["coverage"] < 0.5


def test_prdc_works_at_equal_n():
    real, synthetic = clouds(80, 40)
    picked = real[rng().permutation(80)[:40]]
    expected = prdc(picked, synthetic, rng=rng())
    assert prdc(real, synthetic, rng=rng()) == expected


def test_blocks_change_no_result(monkeypatch):
    real, synthetic = clouds(50, 50)
    whole = {**prdc(real, synthetic, rng=rng()), "kid": kid(real, synthetic)}
    monkeypatch.setattr(distances, "BLOCK_ROWS", 7)
    blocks = {**prdc(real, synthetic, rng=rng()), "kid": kid(real, synthetic)}
    assert blocks == pytest.approx(whole, abs=1e-12)


def test_fid_equals_the_matrix_root():
    real, synthetic = clouds(60, 50)
    real64, synthetic64 = real.astype(np.float64), synthetic.astype(np.float64)
    assert fid(real, synthetic) == pytest.approx(reference.fid(real64, synthetic64), rel=1e-6)
    assert fid(real, real) == pytest.approx(0, abs=1e-9)


def test_too_few_images_are_refused_with_the_numbers():
    real, _ = clouds()
    with pytest.raises(ValueError, match="2 images a side, got 60 and 1"):
        kid(real, real[:1])
    with pytest.raises(ValueError, match="more than 5 images a side, got 5"):
        prdc(real, real[:5], rng=rng())


def measured(real, synthetic, synthetic_labels, **options):
    labels = np.repeat([0, 1, 2], 20)
    return per_class(
        real, labels, synthetic, synthetic_labels, class_names=["a", "b", "c"], seed=0, **options
    )


def test_per_class_measures_each_class_and_averages_those_measured():
    real, synthetic = clouds()
    synthetic_labels = np.repeat([0, 1, 2], [30, 29, 1])
    result = measured(real, synthetic, synthetic_labels)
    a, b, c = (result["classes"][name] for name in "abc")
    assert a["kid"] == pytest.approx(kid(real[:20], synthetic[:30]))
    assert (a["num_real"], a["num_synthetic"], a["num_prdc"]) == (20, 30, 20)
    counts = {"num_real": 20, "num_synthetic": 1, "num_prdc": 1, "too_few": True}
    assert c == {**counts, **dict.fromkeys(METRICS)}
    assert result["not_measured"] == ["c"]
    assert not a["too_few"]
    assert a["kid_std"] > 0
    assert a["fid"] > 0
    assert result["class_mean"]["kid"] == pytest.approx((a["kid"] + b["kid"]) / 2)
    assert result["class_mean"]["num_classes"] == 2


def test_per_class_without_any_synthetic_image_is_null():
    real, _ = clouds()
    result = measured(real, real[:0], np.zeros(0, np.int64))
    assert result["class_mean"]["kid"] is None
    assert result["class_mean"]["num_classes"] == 0


def test_per_class_limits_prdc_but_not_kid():
    real, synthetic = clouds()
    labels = np.repeat([0, 1, 2], 20)
    limited = measured(real, synthetic, labels, max_prdc_images=[15, 15, 5])["classes"]
    whole = measured(real, synthetic, labels)["classes"]
    assert limited["a"]["num_prdc"] == 15
    assert limited["a"]["kid"] == whole["a"]["kid"]
    assert limited["c"]["kid"] is None


def test_a_small_class_is_measured_with_fewer_neighbours(monkeypatch):
    real, synthetic = clouds()
    labels = np.repeat([0, 1, 2], 20)
    small = measured(real, synthetic, labels, max_prdc_images=[11, 8, 7])["classes"]
    monkeypatch.setattr(distances, "NEIGHBOURS", 4)
    fewer = measured(real, synthetic, labels, max_prdc_images=[11, 8, 7])["classes"]
    assert small["a"] == fewer["a"]
    assert small["b"]["coverage"] is not None
    assert small["c"]["coverage"] is None
