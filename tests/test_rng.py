import numpy as np
import pytest
import torch

from ganaug.rng import derive_seed, numpy_rng, torch_generator

# printf '0/train/z' | b2sum -l 64, read little-endian, shifted right by one bit
GOLDEN = 4708252550603059796


def test_seeds_are_the_same_on_every_machine_and_in_every_process():
    assert derive_seed(0, "train", "z") == GOLDEN


def test_seeds_fit_what_numpy_and_torch_accept():
    seeds = [derive_seed(seed, "any", seed) for seed in range(1000)]
    assert min(seeds) >= 0
    assert max(seeds) < 2**63
    assert len(set(seeds)) == len(seeds)


@pytest.mark.parametrize(
    ("one", "other"),
    [((0, "a"), (1, "a")), ((0, "a"), (0, "b")), ((0, "a", "b"), (0, "ab")), ((0, "a", 1), (0, 1))],
)
def test_every_part_of_the_name_counts(one, other):
    assert derive_seed(*one) != derive_seed(*other)


def test_a_stream_repeats_and_differs_from_the_next():
    first = numpy_rng(3, "x").random(5)
    assert np.array_equal(first, numpy_rng(3, "x").random(5))
    assert not np.array_equal(first, numpy_rng(3, "y").random(5))


def test_torch_streams_repeat_and_leave_the_global_state_alone():
    before = torch.get_rng_state()
    first = torch.randn(4, generator=torch_generator(3, "x"))
    assert torch.equal(first, torch.randn(4, generator=torch_generator(3, "x")))
    assert torch.equal(before, torch.get_rng_state())
