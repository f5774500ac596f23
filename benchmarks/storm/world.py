"""A folder in which the whole pipeline runs in seconds, and stages as children of this process.

A child is forked, so that it need not import torch again, and writes what it says to a file.
"""

import atexit
import hashlib
import os
import re
import resource
import shlex
import shutil
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import numpy as np
from ruamel.yaml import YAML
from sklearn.datasets import load_digits

from ganaug.config import change_params
from ganaug.errors import run
from ganaug.images import encode_png

REPOSITORY = Path(__file__).parents[2]
STAGES = ("prepare", "train", "generate", "evaluate", "merge", "report")
TINY = {
    "prepare.source": "folder",
    "prepare.resolution": 16,
    "prepare.files.path": "data/raw/photos",
    "train.size": "tiny",
    "train.kimg": 0.32,
    "train.batch_size": 16,
    "train.num_evaluations": 2,
    "generate.amount": 0.3,
    "generate.strategy": "ratio",
    "generate.filter_steps": 1,
    "generate.max_draws_per_image": 10,
    "generate.real_acceptance": 1.0,
    "evaluate.networks": ["cnn"],
    "evaluate.num_repetitions": 2,
    "evaluate.num_steps": 1,
    "evaluate.batch_size": 8,
    "evaluate.shares": [0.5],
}
PATIENCE = 240.0  # seconds for any child
SAYS = re.compile(r"warning: |read: |train on |train: |generate|evaluate")  # what is no error
SIGNALS = (signal.SIGTERM, signal.SIGINT)  # that this process has handlers for
COSTS = "budget.json"  # differs from run to run


@dataclass(frozen=True)
class Outcome:
    """How a child ended."""

    exit_code: int  # negative: killed by that signal
    errors: str  # what it wrote to stderr
    seconds: float
    peak_mib: float

    def refused_in_one_line(self, *words: str) -> bool:
        """Whether it ended with code 2 and one line that says what is wrong, with these words."""
        lines = [line for line in self.errors.splitlines() if not SAYS.match(line)]
        one = len(lines) == 1 and lines[0].startswith("error: ")
        return self.exit_code == 2 and one and all(word in lines[0] for word in words)

    def describe(self) -> str:
        """Exit code and the end of what it said."""
        return f"exit {self.exit_code}: {' '.join(self.errors.split())[-300:]}"


def draw_photos(folder: Path, *, seed: int = 0, per_class: int = 24) -> None:
    """Class folders of small pictures that no check rejects: two kinds of handwritten digits."""
    bunch = load_digits()
    pixels = np.rint(bunch.images * (255 / 16)).astype(np.uint8)[..., None]
    for digit, name in enumerate(("clear", "cracked")):
        (folder / name).mkdir(parents=True)
        start = seed % 4 * per_class
        for index, image in enumerate(pixels[bunch.target == digit][start : start + per_class]):
            (folder / name / f"{index:03d}.png").write_bytes(encode_png(image))


def make_world(folder: Path, *, seed: int = 0, **changes: Any) -> Path:
    """Lay out params, raw images and reviews; the stages then run in this folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("params.yaml", "constraints.txt"):
        shutil.copy(REPOSITORY / name, folder / name)
    more = {key.replace("__", "."): value for key, value in changes.items()}
    change_params(folder / "params.yaml", TINY | {"seed": seed} | more)
    draw_photos(folder / "data/raw/photos", seed=seed)
    shutil.copy(REPOSITORY / "data/review.csv", folder / "data/review.csv")
    (folder / "results/studies").mkdir(parents=True)
    return folder


@contextmanager
def scratch() -> Iterator[Path]:
    """A folder of the storm, removed at the end; temporary files of the stages go there too."""
    folder = Path(mkdtemp(prefix="storm-"))  # not TemporaryDirectory, which children would remove
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@cache
def dvc_stages() -> dict[str, Any]:
    """The stages of dvc.yaml."""
    return dict(YAML(typ="safe").load(REPOSITORY / "dvc.yaml")["stages"])


def stage(name: str) -> Callable[[], object]:
    """The command line of a stage, as dvc.yaml has it, as a call."""
    _, _, module, *arguments = shlex.split(dvc_stages()[name]["cmd"])
    app = import_module(module).app
    return lambda: run(lambda: app(arguments, standalone_mode=True))


def start(act: Callable[[], object], folder: Path, *, before: Callable[[], object] = int) -> int:
    """Fork a child that calls `before` and `act` in `folder`; its number."""
    sys.stdout.flush()
    (folder / "tmp").mkdir(exist_ok=True)
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)  # until the child has no handler of ours
    child = os.fork()
    if child:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
        return child
    code = 1
    try:
        os.chdir(folder)
        says = os.open("tmp/says", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        os.dup2(says, 2)
        sys.stdout, sys.stderr = os.fdopen(1, "w"), os.fdopen(2, "w", buffering=1)
        for signum in SIGNALS:
            signal.signal(signum, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
        import tempfile

        tempfile.tempdir = str(folder / "tmp")
        before()
        act()
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
    finally:
        with suppress(BaseException):
            atexit._run_exitfuncs()
        os._exit(code)


def finish(child: int, folder: Path, *, limit: float = PATIENCE) -> Outcome:
    """Wait for a child; one that takes too long is killed."""
    began = time.monotonic()
    try:
        while not (found := os.wait4(child, os.WNOHANG))[0]:
            if time.monotonic() - began > limit:
                os.kill(child, signal.SIGKILL)
            time.sleep(0.002)
    except BaseException:  # the storm is stopped
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        raise
    _, status, usage = found
    errors = (folder / "tmp/says").read_text(errors="replace") if folder.exists() else ""
    seconds = time.monotonic() - began
    return Outcome(os.waitstatus_to_exitcode(status), errors, seconds, _mib(usage))


def _mib(usage: resource.struct_rusage) -> float:
    return usage.ru_maxrss / 2**10


def attempt(name: str, folder: Path, *, before: Callable[[], object] = int) -> Outcome:
    """Run a stage to its end."""
    return finish(start(stage(name), folder, before=before), folder)


def warm_up(folder: Path) -> None:
    """Run all stages once, and import here what they imported, so that children need not."""
    for name in STAGES:
        act = stage(name)

        def list_imports(act: Callable[[], object] = act) -> None:
            try:
                act()
            finally:
                Path("tmp/modules").write_text("\n".join(sys.modules))

        outcome = finish(start(list_imports, folder), folder)
        assert outcome.exit_code == 0, f"{name}: {outcome.errors}"
        for module in (folder / "tmp/modules").read_text().split():
            with suppress(Exception):
                import_module(module)
        (folder / "tmp/modules").unlink()


def run_all(folder: Path) -> dict[str, float]:
    """Run all stages; seconds by stage."""
    seconds = {}
    for name in STAGES:
        outcome = attempt(name, folder)
        assert outcome.exit_code == 0, f"{name}: {outcome.errors}"
        seconds[name] = outcome.seconds
    return seconds


def fingerprints(folder: Path) -> dict[str, str]:
    """SHA-256 of every file that the stages leave in a world, also where they should not."""
    places = [folder / part for part in ("data", "models", "results", ".ganaug")]
    files = (path for place in places for path in sorted(place.rglob("*")) if path.is_file())
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in files
        if path.name != COSTS
    } | {
        f"tmp/{path.name}": "left over"
        for path in (folder / "tmp").iterdir()
        if path.name != "says"
    }


def differences(found: dict[str, str], wanted: dict[str, str]) -> str:
    """What differs, the first few; nothing if all is equal."""
    changed = {f"{n} changed" for n in found.keys() & wanted.keys() if found[n] != wanted[n]}
    missing = {f"{name} missing" for name in wanted.keys() - found.keys()}
    left = {f"{name} left over" for name in found.keys() - wanted.keys()}
    return ", ".join(sorted(changed | missing | left)[:4])
