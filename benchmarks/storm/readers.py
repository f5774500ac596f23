"""Those who read: many at once, killed, from remotes that lie; and what `verify` sees."""

import os
import random
import shutil
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path

from benchmarks.consumers import AUGMENTED, KEYS, git, run, s3_bucket
from benchmarks.storm import world
from benchmarks.storm.between import flip
from benchmarks.storm.kills import import_stages
from benchmarks.storm.ledger import Fault
from ganaug.errors import DatasetError
from ganaug.errors import run as as_users_see_it
from ganaug.publishing.verify import verify_dataset

REV = "augmented@v1.0.0"
READERS = 8


def fetching(repo: Path, cache: Path) -> Callable[[], object]:
    """The call that a child makes."""
    from ganaug.data import fetch

    return lambda: as_users_see_it(lambda: fetch(REV, repo=str(repo), cache=cache))


def make_repo(folder: Path, augmented: Path, url: str, *settings: tuple[str, str]) -> Path:
    """A repository with a version of the dataset, which lies in its remote only."""
    folder.mkdir()
    git(folder, "init", "-q")
    run("dvc", "init", "-q", folder=folder)
    run("dvc", "config", "core.analytics", "false", folder=folder)
    shutil.copytree(augmented, folder / AUGMENTED)
    run("dvc", "add", "-q", AUGMENTED, folder=folder)
    run("dvc", "remote", "add", "--default", "here", url, folder=folder)
    for name, value in settings:
        run("dvc", "remote", "modify", "here", name, value, folder=folder)
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", "Dataset")
    git(folder, "tag", REV)
    run("dvc", "push", "-q", folder=folder)
    return forget(folder)


def forget(repo: Path) -> Path:
    """Remove the data and DVC's copies, as in a fresh clone."""
    for place in (AUGMENTED, ".dvc/cache", ".dvc/tmp"):
        shutil.rmtree(repo / place, ignore_errors=True)
    return repo


def judge(cache: Path, wanted: dict[str, bytes]) -> str:
    """What is wrong with a cache of versions: anything but this version, whole."""
    entries = list(cache.iterdir()) if cache.is_dir() else []
    if len(entries) != 1:
        return f"{len(entries)} entries in the cache: {', '.join(e.name for e in entries)}"
    return "" if contents(entries[0]) == wanted else "other bytes than were pushed"


def contents(folder: Path) -> dict[str, bytes]:
    """Bytes of all files by name."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def eight_at_once(
    repo: Path, root: Path, wanted: dict[str, bytes], rng: random.Random, _: int
) -> list[str]:
    """Eight processes fetch one version; some are killed; the next one gets it whole."""
    cache, act = root / "cache", fetching(repo, root / "cache")
    shutil.rmtree(cache, ignore_errors=True)
    folders = [root / f"reader-{number}" for number in range(READERS)]
    for folder in folders:
        folder.mkdir(exist_ok=True)
    children = [world.start(act, folder) for folder in folders]
    victims = rng.sample(children, rng.randint(0, READERS - 1))
    for child in victims:
        time.sleep(rng.uniform(0, 0.5))
        os.kill(child, rng.choice((signal.SIGKILL, signal.SIGTERM)))
    ends = [world.finish(c, f) for c, f in zip(children, folders, strict=True)]
    bad = [
        e.describe()
        for c, e in zip(children, ends, strict=True)
        if e.exit_code and c not in victims
    ]
    last = world.finish(world.start(act, folders[0]), folders[0])
    return [*bad, *_last(last, cache, wanted)]


def _last(end: world.Outcome, cache: Path, wanted: dict[str, bytes]) -> list[str]:
    """What is wrong after a last `fetch` that nothing disturbed."""
    said = end.describe() if end.exit_code else ""
    return [problem for problem in (said, judge(cache, wanted)) if problem]


def lying_remote(
    repo: Path, remote: Path, root: Path, wanted: dict[str, bytes], rng: random.Random, _: int
) -> list[str]:
    """A remote with half a file, an empty one, another's, a changed one, or none."""
    path, other = rng.sample([p for p in sorted(remote.rglob("*")) if p.is_file()], 2)
    whole, cache = path.read_bytes(), root / "cache"
    path.chmod(0o644)
    way = rng.choice(("half", "empty", "other", "flip", "missing"))
    if way == "flip":
        flip(path, rng)
    elif way == "missing":
        path.unlink()
    else:
        half = whole[: len(whole) // 2]
        path.write_bytes({"half": half, "empty": b"", "other": other.read_bytes()}[way])
    shutil.rmtree(cache, ignore_errors=True)
    forget(repo)
    first = world.finish(world.start(fetching(repo, cache), root), root)
    kept = contents(cache)
    path.write_bytes(whole)
    forget(repo)
    last = world.finish(world.start(fetching(repo, cache), root), root)
    where = f"{way} {path.relative_to(remote)}"
    bad = (
        []
        if first.refused_in_one_line() and not kept
        else [f"{where}: {first.describe()}, {list(kept)}"]
    )
    return [*bad, *_last(last, cache, wanted)]


class Proxy:
    """A port that hands bytes on to another, and cuts connections after as many as it is told."""

    def __init__(self, port: int) -> None:
        self._target, self.most, self.rng = ("127.0.0.1", port), 2**40, random.Random(0)
        self._door = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._door.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                one, _ = self._door.accept()
                other, most = socket.create_connection(self._target), self.rng.randint(0, self.most)
                for pair in ((one, other), (other, one)):
                    threading.Thread(target=self._hand_on, args=(*pair, most), daemon=True).start()

    def _hand_on(self, source: socket.socket, target: socket.socket, most: int) -> None:
        with suppress(OSError):
            while most > 0 and (part := source.recv(min(most, 2**14))):
                target.sendall(part)
                most -= len(part)
        for end in (source, target):
            with suppress(OSError), end:
                end.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._door.close()


def dropping_remote(
    repo: Path, proxy: Proxy, root: Path, wanted: dict[str, bytes], rng: random.Random, _: int
) -> list[str]:
    """S3 whose connections are cut: the whole version, or one line; then the version."""
    cache = root / "cache"
    found = []
    for proxy.most in (rng.choice((300, 3000, 30_000)), 2**40):
        shutil.rmtree(cache, ignore_errors=True)
        forget(repo)
        proxy.rng = rng
        end = world.finish(world.start(fetching(repo, cache), root), root)
        if end.exit_code == 0:
            found.append(judge(cache, wanted))
        elif not end.refused_in_one_line() or contents(cache) or proxy.most == 2**40:
            found.append(end.describe())
    return [problem for problem in found if problem]


def one_byte(folder: Path, rng: random.Random, number: int) -> list[str]:
    """Single changed bytes in shards and documents, each of which `verify` must find."""
    missed, files = [], sorted(path for path in folder.rglob("*") if path.is_file())
    for _ in range(number):
        path = rng.choice(files)
        whole = bytearray(path.read_bytes())
        place = rng.randrange(len(whole))
        changed = bytes([whole[place] ^ rng.randint(1, 255)])
        path.write_bytes(whole[:place] + changed + whole[place + 1 :])
        try:
            verify_dataset(folder)
            missed.append(f"byte {place} of {path.name}: {bytes([whole[place]])!r} to {changed!r}")
        except DatasetError:
            pass
        except Exception as error:
            missed.append(f"byte {place} of {path.name}: {error!r}")
        path.write_bytes(whole)
    verify_dataset(folder)
    return missed


@contextmanager
def faults() -> Iterator[list[Fault]]:
    """Readers of a folder remote and of S3."""
    import_stages()
    with world.scratch() as root, ExitStack() as stack:
        folder = world.make_world(root / "one")
        world.warm_up(folder)
        augmented = folder / AUGMENTED
        wanted = contents(augmented)
        repo = make_repo(root / "repo", augmented, str(root / "remote"))
        lie = partial(lying_remote, repo, root / "remote", root)
        faults = [
            Fault(
                "readers: single bytes that `verify` must find",
                1000,
                partial(one_byte, augmented),
                50,
            ),
            Fault(
                "readers: eight `fetch` at once, some killed",
                40,
                partial(eight_at_once, repo, root, wanted),
            ),
            Fault("readers: a remote with other bytes", 100, partial(lie, wanted)),
        ]
        with suppress(ImportError):
            os.environ |= KEYS
            url, (_, endpoint) = stack.enter_context(s3_bucket("storm"))
            proxy = Proxy(int(endpoint.rpartition(":")[2]))
            stack.callback(proxy.close)
            setting = ("endpointurl", f"http://127.0.0.1:{proxy.port}")
            distant = make_repo(root / "distant", augmented, url, setting)
            cut = partial(dropping_remote, distant, proxy, root, wanted)
            faults.append(Fault("readers: S3 that drops connections", 20, cut))
        yield faults
