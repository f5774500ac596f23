import pytest

from ganaug.gan.schedules import cosine, ema_decay, fading


def test_cosine_meets_both_ends_and_the_middle():
    assert cosine(0, start=1, end=0.1) == pytest.approx(1)
    assert cosine(0.5, start=1, end=0.1) == pytest.approx(0.55)
    assert cosine(1, start=1, end=0.1) == pytest.approx(0.1)
    assert cosine(1.5, start=1, end=0.1) == pytest.approx(0.1)


def test_ema_halves_over_its_half_life():
    steps = 9000 // 60
    decay = ema_decay(10**6, batch_size=60, half_life_kimg=9)
    assert decay**steps == pytest.approx(0.5)


def test_ema_forgets_the_random_start_quickly():
    assert ema_decay(64, batch_size=64, half_life_kimg=9) < 0.001
    assert ema_decay(640, batch_size=64, half_life_kimg=9) == pytest.approx(0.5)


def test_fading_ends_on_time():
    assert [fading(p, start=2.0, until=0.5) for p in (0, 0.25, 0.5, 0.9)] == [2.0, 1.0, 0.0, 0.0]
