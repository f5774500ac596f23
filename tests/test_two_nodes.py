"""Training on two simulated nodes: each is killed once, and the snapshot is the same.

A node is a torchrun of its own with one process, so evaluation, checkpoints and the exchange among
processes run as on two machines.
"""

import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from ganaug.config import change_params
from tests.small_pipeline import environment

PARAMS = {
    "prepare.resolution": 16,
    "train.size": "tiny",
    "train.kimg": 0.6,
    "train.batch_size": 16,
    "train.num_evaluations": 3,
    "train.precision": "fp32",
}
EVALUATED = "val KID"
SAVED = "*/[0-9]*.safetensors"
MOST_SEC = 300.0


@pytest.fixture
def params(tmp_path, repository):
    """Params for a number of nodes."""

    def write(num_nodes):
        path = Path(shutil.copy(repository / "params.yaml", tmp_path / f"{num_nodes}.yaml"))
        change_params(path, {**PARAMS, "train.num_nodes": num_nodes})
        return path

    return write


@pytest.fixture
def start(params, prepared_folder, repository):
    """Start a training on all nodes; returns torchrun's processes and where each prints to."""
    started = []

    def start(folder, num_nodes=2):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        launcher = ["-m", "torch.distributed.run", "--nnodes", str(num_nodes), "--nproc_per_node=1"]
        launcher += ["--master_addr=127.0.0.1", f"--master_port={port}"]
        program = ["-m", "pipeline.train", "--prepared", str(prepared_folder)]
        program += ["--out", str(folder / "generator"), "--results", str(folder / "results")]
        program += ["--checkpoints", str(folder / "states"), "--params", str(params(num_nodes))]
        folder.mkdir(exist_ok=True)
        logs = [folder / f"{rank}.log" for rank in range(num_nodes)]
        how = {"cwd": repository, "env": environment(repository) | {"OMP_NUM_THREADS": "1"}}
        processes = []
        for rank, log in enumerate(logs):
            command = [sys.executable, *launcher, f"--node_rank={rank}", *program]
            with log.open("w") as out:
                processes.append(subprocess.Popen(command, stdout=out, stderr=out, **how))
        started.extend(processes)
        return processes, logs

    yield start
    for process in started:
        if process.poll() is None:  # a test failed
            for own in (*psutil.Process(process.pid).children(recursive=True), process):
                own.kill()
            process.wait()


def finish(processes, logs):
    """Wait for all nodes; the first one's exit code and output."""
    codes = [process.wait(MOST_SEC) for process in processes]
    assert len(set(codes)) == 1
    return codes[0], logs[0].read_text()


def kill_after_save(processes, logs, rank, states):
    """SIGKILL the training process of a node once another state has been saved."""
    end, earlier = time.monotonic() + MOST_SEC, set(states.glob(SAVED))
    while set(states.glob(SAVED)) <= earlier:
        assert time.monotonic() < end
        assert processes[0].poll() is None, logs[0].read_text()
        time.sleep(0.1)
    psutil.Process(processes[rank].pid).children()[0].kill()


@pytest.mark.slow
def test_each_node_is_killed_and_the_snapshot_is_the_same(tmp_path, start):
    nodes = start(tmp_path / "undisturbed")
    code, output = finish(*nodes)
    assert code == 0, output
    assert EVALUATED in output
    assert EVALUATED not in nodes[1][1].read_text()  # one of the processes speaks for all
    folder = tmp_path / "killed"
    for rank in (1, 0):
        nodes = start(folder)
        kill_after_save(*nodes, rank, folder / "states")
        code, output = finish(*nodes)
        assert code == 1
        survivor = nodes[1][1 - rank].read_text()
        assert "error: the exchange with the other processes of this training failed" in survivor
        if rank == 1:
            shutil.copytree(folder / "states", tmp_path / "alone" / "states")
    code, output = finish(*start(folder))
    assert code == 0, output
    assert "resumed from" in output
    for name in ("generator.json", "generator.safetensors"):
        found = (folder / "generator" / name).read_bytes()
        assert found == (tmp_path / "undisturbed" / "generator" / name).read_bytes()
    # One process goes on where two were stopped; augmentation draws differ by process from there.
    code, output = finish(*start(tmp_path / "alone", num_nodes=1))
    assert code == 0, output
    assert "resumed from" in output
    assert "2 processes" not in output
