import copy

import pytest
import torch
from torch import nn

from ganaug.gan.schedules import cosine, ema_decay, fading, update_ema


def test_schedules_meet_their_ends_and_middles():
    rates = [cosine(progress, start=1, end=0.1) for progress in (0, 0.5, 1, 1.5)]
    assert rates == pytest.approx([1, 0.55, 0.1, 0.1])
    assert [fading(p, start=2.0, until=0.5) for p in (0, 0.25, 0.5, 0.9)] == [2.0, 1.0, 0.0, 0.0]


def test_ema_halves_over_its_half_life_and_forgets_the_random_start_quickly():
    steps = 9000 // 60
    assert ema_decay(10**6, batch_size=60, half_life_kimg=9) ** steps == pytest.approx(0.5)
    assert ema_decay(64, batch_size=64, half_life_kimg=9) < 0.001
    assert ema_decay(640, batch_size=64, half_life_kimg=9) == pytest.approx(0.5)


def test_update_moves_weights_by_one_minus_decay_and_buffers_at_once():
    network = nn.BatchNorm1d(2)
    average = copy.deepcopy(network).eval().requires_grad_(False)
    network(torch.tensor([[1.0, 2.0], [3.0, 6.0]]))
    with torch.no_grad():
        network.weight += 1
    update_ema(average, network, decay=0.75)
    assert torch.allclose(average.weight, torch.full((2,), 1.25))
    assert torch.equal(average.running_mean, network.running_mean)
