import copy

import pytest
import torch
from torch import nn

from ganaug.gan.schedules import cosine, ema_decay, fading, update_ema


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


def test_update_moves_the_average_by_one_minus_decay():
    network = nn.Linear(2, 1)
    average = copy.deepcopy(network).requires_grad_(False)
    start = average.weight.clone()
    with torch.no_grad():
        network.weight += 1
    update_ema(average, network, decay=0.75)
    assert torch.allclose(average.weight, start + 0.25)


def test_buffers_follow_at_once():
    network = nn.BatchNorm1d(2)
    average = copy.deepcopy(network).eval()
    network(torch.tensor([[1.0, 2.0], [3.0, 6.0]]))
    update_ema(average, network, decay=0.9)
    assert torch.equal(average.running_mean, network.running_mean)
