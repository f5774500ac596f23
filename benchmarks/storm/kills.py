"""SIGKILL and SIGTERM at random moments: the same command goes on, and nothing is lost or left."""

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import psutil
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from benchmarks.consumers import copy_repository
from benchmarks.storm import world
from benchmarks.storm.ledger import Fault
from ganaug.config import change_params
from ganaug.folds import code_first

SIGNALS = (signal.SIGKILL, signal.SIGTERM)
WEIGHTS = (8, 3, 3, 1, 8, 4)  # of the stages; evaluate takes longest
KILLS_PER_END = 10  # then the command may go on to its end, and all outputs are compared
STEPS = {"os.rename", "os.remove", "os.mkdir", "os.rmdir"}
SPEED_UP = {"EVALUATION_SAMPLES": 32, "SAVE_SEC": 0.1}  # of `gan.trainer`


def import_stages() -> None:
    """Import what the stages need, once for all children; train on few samples, save often."""
    import torch

    from ganaug.gan import trainer

    torch.set_num_threads(1)
    for name in world.STAGES:
        world.stage(name)
    for name, value in SPEED_UP.items():
        setattr(trainer, name, value)


def kill_at_step(step: int, signum: int) -> None:
    """In a child: kill it just before its n-th change of a file or folder."""
    left = step

    def watch(event: str, given: tuple[Any, ...]) -> None:
        nonlocal left
        writes = event == "open" and (given[2] or 0) & 3
        if event in STEPS or writes:
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signum)

    sys.addaudithook(watch)


def kill_stage(
    folder: Path, wanted: dict[str, str], spent: dict[str, float], rng: random.Random, number: int
) -> list[str]:
    """Kill one stage `number` times, by the clock or at a step of writing; then let it end."""
    name, signum, losses = rng.choices(world.STAGES, WEIGHTS)[0], rng.choice(SIGNALS), list[str]()
    killed = 0
    while killed < number:
        by_clock = rng.random() < 0.5
        before = partial(kill_at_step, rng.randint(1, 15), signum) if not by_clock else int
        child = world.start(world.stage(name), folder, before=before)
        if by_clock:
            time.sleep(rng.uniform(0, spent[name]))
            with suppress(ProcessLookupError):
                os.kill(child, signum)
        outcome = world.finish(child, folder)
        killed += outcome.exit_code != 0
        if outcome.exit_code not in (0, -signum, 128 + signum):
            losses.append(f"{name}, {signum.name}: {outcome.describe()}")
    last = world.attempt(name, folder)
    spent[name] = 0.7 * spent[name] + 0.3 * last.seconds
    if last.exit_code:
        losses.append(f"{name} did not go on after {signum.name}: {last.describe()}")
    if lost := world.differences(world.fingerprints(folder), wanted):
        losses.append(f"{name} after {number} x {signum.name}: {lost}")
        mend(folder, wanted)
    return losses


def mend(folder: Path, wanted: dict[str, str]) -> None:
    """Remove what is left over, so that the next try is judged for itself."""
    for name in world.fingerprints(folder).keys() - wanted.keys():
        path = folder / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    world.run_all(folder)


def make_clone(folder: Path) -> Path:
    """A clone of the repository under DVC, with a tiny run behind it."""
    copy_repository(folder)
    (folder / "tmp").mkdir()
    changes = world.TINY | {"prepare.source": "digits", "prepare.train_fraction": 0.1}
    change_params(folder / "params.yaml", changes | {"evaluate.networks": ["cnn"]})
    assert repro(folder).wait() == 0
    return folder


def repro(folder: Path, *arguments: str) -> "subprocess.Popen[bytes]":
    """Start `dvc repro` in a session of its own."""
    own = code_first(folder / "src") | {"DVC_NO_ANALYTICS": "1", "LOKY_MAX_CPU_COUNT": "2"}
    return subprocess.Popen(
        [sys.executable, "-m", "dvc", "repro", *arguments],
        cwd=folder,
        env=os.environ | own | {"TMPDIR": str(folder / "tmp")},
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=(folder / "tmp/says").open("w"),
    )


def kill_repro(
    folder: Path, wanted: dict[str, str], rng: random.Random, _: int, *, victim: str
) -> list[str]:
    """Kill `dvc repro` alone, with its group, or one of its workers; then run it again."""
    name, signum = rng.choice(world.STAGES[:4]), rng.choice(SIGNALS)
    lock = (folder / "dvc.lock").read_text()
    process = repro(folder, "--force", "--single-item", name)
    below = _wait_for_children(process, folder)
    time.sleep(rng.uniform(0, 8))
    with suppress(ProcessLookupError, psutil.NoSuchProcess):
        if victim == "group":
            os.killpg(process.pid, signum)
        elif victim == "dvc":
            process.send_signal(signum)
        else:
            below = psutil.Process(process.pid).children(recursive=True) or below
            workers = [p for p in below if "loky" in " ".join(p.cmdline())]
            rng.choice(workers or below).send_signal(signum)
    process.wait()
    wait_for_group(process.pid)
    _restore_lock(folder, lock)
    again = repro(folder, "--force", "--single-item", name)
    code = again.wait()
    says = (folder / "tmp/says").read_text()[-300:]
    found = world.fingerprints(folder)  # other programs leave temporary files of their own
    ours = {n: h for n, h in found.items() if not n.startswith("tmp/") or "ganaug-" in n}
    lost = world.differences(ours, wanted)
    return [f"{victim} of {name}: exit {code}, {lost} {says}"] if code or lost else []


def _wait_for_children(process: "subprocess.Popen[bytes]", folder: Path) -> list[psutil.Process]:
    while process.poll() is None:
        below: list[psutil.Process] = psutil.Process(process.pid).children(recursive=True)
        if below:
            return below
        time.sleep(0.05)
    raise AssertionError(f"`dvc repro` ended without a stage: {(folder / 'tmp/says').read_text()}")


def _restore_lock(folder: Path, before: str) -> None:
    """What docs/reliability.md advises: DVC writes dvc.lock in place, and may die half-way.

    A stage that runs again has the same outputs, so a whole file says what it said before.
    """
    path, yaml = folder / "dvc.lock", YAML(typ="safe")
    with suppress(YAMLError):
        if yaml.load(path) == yaml.load(before):
            return
    print("dvc.lock was half written; restored", flush=True)
    path.write_text(before)


def wait_for_group(group: int, seconds: float = 60) -> None:
    """Wait until orphans of a killed session have ended by themselves; then kill what is left."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return
        time.sleep(0.2)
    os.killpg(group, signal.SIGKILL)


def disk_use(folder: Path) -> int:
    """Bytes of all files below a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


@contextmanager
def faults() -> Iterator[list[Fault]]:
    """The kill storm: 1,000 kills of forked stages, and some of the real thing."""
    import_stages()
    with world.scratch() as root:
        folder = world.make_world(root / "wörld with spaces")
        world.warm_up(folder)
        spent = world.run_all(folder)
        wanted = world.fingerprints(folder)
        before = disk_use(folder)
        clones: list[tuple[Path, dict[str, str]]] = []

        def clone(rng: random.Random, number: int, *, victim: str) -> list[str]:
            if not clones:
                made = make_clone(root / "clone")
                found = world.fingerprints(made)
                clones.append((made, {n: h for n, h in found.items() if not n.startswith("tmp/")}))
            return kill_repro(*clones[0], rng, number, victim=victim)

        def flat(_rng: random.Random, _number: int) -> list[str]:
            grown = disk_use(folder) - before
            return [f"disk use grew by {grown} bytes"] if grown > 2**20 else []

        act: Callable[..., list[str]] = partial(kill_stage, folder, wanted, spent)
        yield [
            Fault("kills: a stage, SIGKILL or SIGTERM", 950, act, KILLS_PER_END),
            Fault("kills: disk use after all of them", 1, flat),
            Fault("kills: `dvc repro` alone", 16, partial(clone, victim="dvc")),
            Fault("kills: `dvc repro` with its group", 17, partial(clone, victim="group")),
            Fault("kills: a worker of a stage", 17, partial(clone, victim="worker")),
        ]
