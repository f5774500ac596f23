import numpy as np
import torch

from ganaug.rng import derive_seed, numpy_rng, torch_generator


def test_seeds_are_the_same_on_every_machine_and_in_every_process():
    # printf '0/train/z' | b2sum -l 64, read little-endian, shifted right by one bit
    assert derive_seed(0, "train", "z") == 4708252550603059796


def test_every_part_of_the_name_counts_and_seeds_fit_numpy_and_torch():
    names = [(0, "a"), (1, "a"), (0, "b"), (0, "a", "b"), (0, "ab"), (0, "a", 1), (0, 1)]
    seeds = [derive_seed(*name) for name in names + [(n, "any", n) for n in range(1000)]]
    assert len(set(seeds)) == len(seeds)
    assert 0 <= min(seeds) <= max(seeds) < 2**63


def test_streams_repeat_differ_from_the_next_and_leave_the_global_state_alone():
    first = numpy_rng(3, "x").random(5)
    assert np.array_equal(first, numpy_rng(3, "x").random(5))
    assert not np.array_equal(first, numpy_rng(3, "y").random(5))
    before = torch.get_rng_state()
    one, again = (torch.randn(4, generator=torch_generator(3, "x")) for _ in "ab")
    assert torch.equal(one, again)
    assert torch.equal(before, torch.get_rng_state())
