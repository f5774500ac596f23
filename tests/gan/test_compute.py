import os
import platform
import subprocess
import sys
from types import SimpleNamespace

import psutil
import pytest
import torch
from lightning_fabric.utilities.rank_zero import rank_zero_only

from ganaug.errors import TrainingError
from ganaug.gan.compute import Compute, choose_compute
from tests.refusal import refuses


def test_auto_takes_what_there_is_and_cuda_that_is_not_there_is_refused(monkeypatch):
    expected = "cuda" if torch.cuda.is_available() else "cpu"
    assert choose_compute().device.type == expected
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    refuses(TrainingError, r"train\.device is cuda", choose_compute, device="cuda")


def test_bf16_where_the_cpu_has_the_instructions_or_where_it_is_asked_for(monkeypatch):
    for instructions in ("avx512_bf16", "amx_bf16", None):
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda own=instructions: {own: True})
        assert choose_compute(device="cpu").bf16 == bool(instructions), instructions
    for precision in ("bf16", "fp32"):
        assert choose_compute(device="cpu", precision=precision).bf16 == (precision == "bf16")


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other allocators are not told")
def test_freed_memory_is_kept():
    child = (
        "import resource, torch; from ganaug.gan.compute import choose_compute\n"
        "def faults():\n"
        "    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt\n"
        "    for _ in range(20): [torch.ones(2**20) for _ in range(8)]\n"
        "    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before\n"
        "before = faults(); choose_compute(device='cpu'); faults(); print(before, faults())"
    )
    own = {k: v for k, v in os.environ.items() if not k.startswith(("MALLOC_", "LD_PRELOAD"))}
    shown = subprocess.run([sys.executable, "-c", child], check=True, capture_output=True, env=own)
    before, after = map(int, shown.stdout.split())
    assert after < before / 10


def test_autocast_runs_convolutions_in_bf16():
    with Compute(torch.device("cpu"), bf16=True).autocast():
        assert torch.nn.Conv2d(1, 1, 1)(torch.ones(1, 1, 2, 2)).dtype == torch.bfloat16


def test_half_of_the_free_memory_may_be_taken(monkeypatch):
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=1000))
    compute = Compute(torch.device("cpu"), bf16=False)
    assert [compute.fits(number) for number in (500, 501)] == [True, False]


def test_without_knowing_what_is_free_nothing_is_taken(monkeypatch):
    def without_meminfo():
        raise KeyError(b"MemTotal:")  # as psutil does where /proc/meminfo is empty

    monkeypatch.setattr(psutil, "virtual_memory", without_meminfo)
    assert not Compute(torch.device("cpu"), bf16=False).fits(1)


# What each sets for the fourth of four processes, two on each of two machines.
LAUNCHERS = {
    "SLURM": {
        **{"SLURM_JOB_ID": "98765", "SLURM_JOB_NAME": "train", "SLURM_NODELIST": "node[7-8]"},
        **{"SLURM_NTASKS": "4", "SLURM_NTASKS_PER_NODE": "2", "SLURM_NNODES": "2"},
        **{"SLURM_PROCID": "3", "SLURM_LOCALID": "1", "SLURM_NODEID": "1"},
    },
    "torchrun": {
        **{"RANK": "3", "LOCAL_RANK": "1", "GROUP_RANK": "1", "TORCHELASTIC_RUN_ID": "test"},
        **{"WORLD_SIZE": "4", "LOCAL_WORLD_SIZE": "2"},
        **{"MASTER_ADDR": "node7", "MASTER_PORT": "23765"},
    },
}


@pytest.mark.parametrize("launcher", LAUNCHERS)
def test_process_that_a_launcher_started_joins_the_others_and_starts_none(monkeypatch, launcher):
    joined = {}

    def join(backend, **arguments):
        joined.update(arguments, backend=backend)
        joined["meeting_place"] = f"{os.environ['MASTER_ADDR']}:{os.environ['MASTER_PORT']}"

    def start(*_, **__):
        raise AssertionError("it started a process, which the launcher has done")

    monkeypatch.setattr(os, "environ", os.environ | LAUNCHERS[launcher])
    monkeypatch.setattr(rank_zero_only, "rank", 0)  # fabric sets it, for the whole session
    monkeypatch.setattr(torch.distributed, "init_process_group", join)
    monkeypatch.setattr(subprocess, "Popen", start)
    compute = choose_compute(device="cpu", precision="fp32", devices=2, num_nodes=2)
    assert (compute.rank, compute.world_size) == (3, 4)
    assert compute.share(torch.arange(8)).tolist() == [6, 7]
    assert joined["backend"] == "gloo"
    assert (joined["rank"], joined["world_size"]) == (3, 4)
    assert joined["meeting_place"] == "node7:23765"
