import torch
from torch import nn

from ganaug.gan.ema import make_average, update_ema


def test_update_moves_the_average_by_one_minus_decay():
    network = nn.Linear(2, 1)
    average = make_average(network)
    start = average.weight.clone()
    with torch.no_grad():
        network.weight += 1
    update_ema(average, network, decay=0.75)
    assert torch.allclose(average.weight, start + 0.25)


def test_average_is_a_copy_that_is_not_trained():
    network = nn.Linear(2, 1)
    average = make_average(network)
    assert average.weight.data_ptr() != network.weight.data_ptr()
    assert not average.weight.requires_grad
    assert not average.training


def test_buffers_follow_at_once():
    network = nn.BatchNorm1d(2)
    average = make_average(network)
    network(torch.tensor([[1.0, 2.0], [3.0, 6.0]]))
    update_ema(average, network, decay=0.9)
    assert torch.equal(average.running_mean, network.running_mean)
