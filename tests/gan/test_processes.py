"""Two processes of half the batch learn what one learns from the whole."""

import multiprocessing
import socket
from pathlib import Path

import torch

from ganaug.config import load_params
from ganaug.gan.anchors import Anchors
from ganaug.gan.architecture import build_companion, build_generator
from ganaug.gan.compute import Compute, choose_compute
from ganaug.gan.step import Networks, Step
from ganaug.gan.trainer import make_objective
from tests.gan.conftest import ARCHITECTURE

BATCH = 32
PARAMS = load_params(
    Path(__file__).parents[2] / "params.yaml",
    {"train.augment": [], "train.r1_gamma": 1.0, "train.r2_gamma": 1.0},
)


def gradients_of_a_step(compute):
    """Gradients of G and D in an update on this process's share of a fixed batch."""
    torch.manual_seed(0)
    G, D = build_generator(ARCHITECTURE), build_companion(ARCHITECTURE)
    real, label = torch.rand(BATCH, 1, 16, 16) * 2 - 1, torch.arange(BATCH) // 8 % 2
    z = torch.randn(BATCH, G.latent_dim)
    anchors = Anchors(ARCHITECTURE)
    anchors.fit([(real, label)])
    # Plain descent: Adam's first step is the gradient's sign, which rounding can turn.
    optimisers = (torch.optim.SGD(network.parameters(), lr=0.1) for network in (G, D))
    networks = Networks(G, D, *optimisers, anchors)
    gradients = {}

    def remember(*_):
        gradients.setdefault("D", [p.grad.clone() for p in D.parameters()])

    networks.D_optimiser.register_step_pre_hook(remember)
    step = Step(
        networks,
        make_objective(PARAMS.train),
        compute,
        torch.Generator(),
        penalty_scale=4,
        updates_generator=True,
        reconstruction_weight=1.0,
    )
    statistics = step.take(*map(compute.share, (real, label, z)))
    gradients["G"] = [p.grad for p in G.parameters()]
    assert "penalty/r1" in statistics
    return gradients


def run_as(rank, port, folder):
    """What torchrun does for one of two processes; fabric finds itself started by it."""
    import os

    os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "GROUP_RANK": "0"}
    os.environ |= {"WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2", "TORCHELASTIC_RUN_ID": "test"}
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    torch.set_num_threads(1)
    compute = choose_compute(device="cpu", precision="fp32", devices=2)
    assert (compute.rank, compute.world_size) == (rank, 2)
    assert compute.agree("first" if rank == 0 else "second") == "first"
    assert compute.maximum(rank * 15) == 15
    torch.save(gradients_of_a_step(compute), folder / f"{rank}.pt")


def test_gradients_equal_those_of_one_process_on_the_joined_batch(tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=run_as, args=(rank, port, tmp_path)) for rank in (0, 1)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(120)
    assert [process.exitcode for process in processes] == [0, 0]
    alone = gradients_of_a_step(Compute(torch.device("cpu"), bf16=False))
    both = [torch.load(tmp_path / f"{rank}.pt") for rank in (0, 1)]
    for network in ("G", "D"):
        assert max(gradient.abs().max() for gradient in alone[network]) > 0.001
        joined = zip(alone[network], *(own[network] for own in both), strict=True)
        for expected, first, second in joined:
            assert torch.equal(first, second), network
            assert torch.allclose(first, expected, rtol=1e-4, atol=1e-6), network
