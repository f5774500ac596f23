"""Full and failing disks, odd machines, two runs at once: one line, or the same bytes."""

import errno
import os
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.storm import world
from benchmarks.storm.kills import disk_use, import_stages, make_clone, repro
from benchmarks.storm.ledger import Fault
from benchmarks.storm.world import attempt, differences, fingerprints

NOBODY = 12345  # a user without a name or a home folder
MOUNTED = ("mount", "-t", "tmpfs", "-o")


def fail_at_step(step: int, number: int, below: Path) -> None:
    """In a child: its n-th change of a file or folder below a place, and all later ones, fail."""
    left = step

    def watch(event: str, given: tuple[Any, ...]) -> None:
        nonlocal left
        writes = event == "open" and (given[2] or 0) & 3
        if (event in {"os.rename", "os.mkdir"} or writes) and isinstance(given[0], str | Path):
            path = Path.cwd() / given[0]
            left -= path.is_relative_to(below)
            if left <= 0 and path.is_relative_to(below):
                raise OSError(number, os.strerror(number), str(given[0]))

    sys.addaudithook(watch)


def failing_disk(
    folder: Path, wanted: dict[str, str], rng: random.Random, _: int, *, number: int
) -> list[str]:
    """The n-th write of a stage fails; it says so in one line, and the next run succeeds."""
    name = rng.choice(world.STAGES)
    step = rng.randint(1, 25)
    first = attempt(name, folder, before=partial(fail_at_step, step, number, folder))
    bad = []
    if first.exit_code and not first.refused_in_one_line():
        bad.append(f"{name}, write {step}: {first.describe()}")
    return bad + _goes_on(name, folder, wanted)


def _goes_on(name: str, folder: Path, wanted: dict[str, str]) -> list[str]:
    last = attempt(name, folder)
    lost = differences(fingerprints(folder), wanted)
    if lost:
        shutil.rmtree(folder / ".ganaug")
        world.run_all(folder)
    return [f"{name} afterwards: {last.describe()}; {lost}"] if lost or last.exit_code else []


def full_disk(folder: Path, wanted: dict[str, str], rng: random.Random, _: int) -> list[str]:
    """A file system that fills up somewhere in a stage."""
    name, mount = rng.choice(world.STAGES), folder.parent
    (folder / "tmp/says").unlink(missing_ok=True)
    size = (disk_use(mount) >> 10) + 4 * len(list(mount.rglob("*"))) + rng.randint(8, 1200)
    subprocess.run([*MOUNTED, f"remount,size={size}k", "tmpfs", str(mount)], check=True)
    first = attempt(name, folder)
    subprocess.run([*MOUNTED, "remount,size=512m", "tmpfs", str(mount)], check=True)
    bad = []
    if first.exit_code not in (0, 2) or "Traceback" in first.errors:  # which is on the disk too
        bad.append(f"{name}, {size} KiB: {first.describe()}")
    return bad + _goes_on(name, folder, wanted)


def odd_machine(
    folder: Path, wanted: dict[str, str], _rng: random.Random, _: int, *, before: Callable[[], None]
) -> list[str]:
    """All stages on a machine that lacks something: the same bytes as ever."""
    for name in world.STAGES:
        end = attempt(name, folder, before=before)
        if end.exit_code:
            return [f"{name}: {end.describe()}"]
    lost = differences(fingerprints(folder), wanted)
    return [lost] if lost else []


def without_home() -> None:
    """A user of whom the system knows nothing, as in many containers."""
    for name in ("HOME", "USER", "LOGNAME", "XDG_CACHE_HOME", "MPLCONFIGDIR"):
        os.environ.pop(name, None)
    for path in (Path.cwd(), *Path.cwd().rglob("*")):
        os.chown(path, NOBODY, NOBODY)
    os.setgid(NOBODY)
    os.setuid(NOBODY)


def backward_clock() -> None:
    """A clock that jumps back an hour at every second look."""
    real, looks = time.time, iter(range(10**9))
    time.time = lambda: real() - 3600 * (next(looks) % 2)


def one_core() -> None:
    """A single core."""
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})


def little_shared_memory() -> None:
    """64 MiB of /dev/shm, as Docker gives."""
    _in_own_mounts(*MOUNTED, "size=64m", "tmpfs", "/dev/shm")


def no_meminfo() -> None:
    """A /proc without meminfo."""
    _in_own_mounts("mount", "--bind", "/dev/null", "/proc/meminfo")


def _in_own_mounts(*command: str) -> None:
    import ctypes

    new_namespace = 0x00020000
    if ctypes.CDLL(None, use_errno=True).unshare(new_namespace):
        raise OSError(ctypes.get_errno(), "unshare")
    subprocess.run(["mount", "--make-rprivate", "/"], check=True)
    subprocess.run(command, check=True)


def private_files() -> None:
    """New files that nobody else may read."""
    os.umask(0o077)


def read_only(folder: Path, wanted: dict[str, str], rng: random.Random, _: int) -> list[str]:
    """Folders of another user: refused in one line, and untouched."""
    name = rng.choice(world.STAGES)

    def before() -> None:
        os.chmod("tmp", 0o777)  # noqa: PTH101
        os.setgid(NOBODY)
        os.setuid(NOBODY)

    for path in (folder, *folder.rglob("*")):
        os.chown(path, 0, 0)
    end = attempt(name, folder, before=before)
    lost = differences(fingerprints(folder), wanted)
    good = end.refused_in_one_line() and not lost
    return [] if good else [f"{name}: {end.describe()}; {lost}"]


def two_trainers(folder: Path, wanted: dict[str, str], rng: random.Random, _: int) -> list[str]:
    """A second trainer is refused; the first one's result is as ever."""
    first = world.start(world.stage("train"), folder)
    time.sleep(rng.uniform(0.3, 1.2))
    (folder / "tmp/says").unlink(missing_ok=True)
    second = world.finish(world.start(world.stage("train"), folder), folder)
    end = world.finish(first, folder)
    lost = differences(fingerprints(folder), wanted)
    refused = second.refused_in_one_line("another process is training")
    if end.exit_code == 0 and not lost and (refused or second.exit_code == 0):
        return []
    return [f"first {end.exit_code}, second {second.describe()}; {lost}"]


def two_repros(root: Path, rng: random.Random, _: int) -> list[str]:
    """`dvc repro` twice at once in one clone: one of them makes the run that one alone makes."""
    folder = root / "clone"
    if not folder.exists():
        make_clone(folder)
    wanted = fingerprints(folder)
    one = repro(folder, "--force")
    time.sleep(rng.uniform(0, 6))
    two = repro(folder, "--force")
    codes = sorted(process.wait() for process in (one, two))
    lost = differences(fingerprints(folder), wanted)
    return [] if codes[0] == 0 and not lost else [f"exits {codes}; {lost}"]


@contextmanager
def mounted(folder: Path) -> Iterator[bool]:
    """A small file system of its own; False where none may be mounted."""
    folder.mkdir()
    command = [*MOUNTED, "size=512m", "tmpfs", str(folder)]
    done = subprocess.run(command, check=False, capture_output=True).returncode == 0
    try:
        yield done
    finally:
        if done:
            subprocess.run(["umount", "--lazy", str(folder)], check=True)


@contextmanager
def faults() -> Iterator[list[Fault]]:
    """Disk and machine."""
    import_stages()
    with world.scratch() as root, mounted(root / "disk") as own_disk:
        root.chmod(0o755)
        folder = world.make_world(root / "world")
        world.warm_up(folder)
        wanted = fingerprints(folder)
        odd = (
            private_files,
            backward_clock,
            one_core,
            little_shared_memory,
            no_meminfo,
            without_home,
        )
        found = [
            Fault(f"machine: {what}", 150, partial(failing_disk, folder, wanted, number=number))
            for what, number in (("EIO at a write", errno.EIO), ("ENOSPC at a write", errno.ENOSPC))
        ]
        found.append(
            Fault("machine: two trainers on one folder", 10, partial(two_trainers, folder, wanted))
        )
        if own_disk:
            small = world.make_world(root / "disk/world")
            world.run_all(small)
            full = partial(full_disk, small, fingerprints(small))
            found.append(Fault("machine: a disk that fills up", 60, full))
        found += [
            Fault(
                f"machine: {before.__name__.replace('_', ' ')}",
                2,
                partial(odd_machine, folder, wanted, before=before),
            )
            for before in odd
        ]
        found.append(
            Fault("machine: folders of another user", 12, partial(read_only, folder, wanted))
        )
        found.append(Fault("machine: two `dvc repro` in one clone", 3, partial(two_repros, root)))
        yield found
