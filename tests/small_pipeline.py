"""A temporary clone of this repository, its params cut down so that `dvc repro` takes a minute."""

import os
import subprocess
import sys
from pathlib import Path

from benchmarks.consumers import copy_repository
from ganaug.config import change_params
from ganaug.folds import code_first

REPOSITORY = Path(__file__).parents[1]
TINY = {
    "prepare.source": "digits",
    "prepare.resolution": 16,
    "prepare.train_fraction": 0.3,
    "train.size": "tiny",
    "train.kimg": 3,
    "train.batch_size": 32,
    "train.num_evaluations": 2,
    "generate.amount": 0.6,
    "generate.strategy": "ratio",
    "generate.filter_steps": 30,
    "generate.real_acceptance": 1.0,
    "evaluate.num_repetitions": 2,
    "evaluate.num_steps": 20,
    "evaluate.shares": [0.5],
}


def environment(folder: Path) -> dict[str, str]:
    """Variables that put this interpreter first on the path, and the clone's code first."""
    return os.environ | code_first(folder / "src")


def python(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run this interpreter in a clone."""
    options = {"cwd": folder, "env": environment(folder), "capture_output": True, "text": True}
    return subprocess.run([sys.executable, *arguments], check=False, **options)


def dvc(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return python(folder, "-m", "dvc", *arguments)


def make_clone(folder: Path) -> None:
    """Clone, lay the working tree's files over it, and cut the params down."""
    copy_repository(folder)
    change_params(folder / "params.yaml", TINY)
