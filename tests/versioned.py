"""A small repository under git and DVC, with a merged dataset at data/augmented."""

import shutil
from pathlib import Path

from dvc.repo import Repo

from benchmarks.consumers import git
from ganaug.data import AUGMENTED
from ganaug.fileio import write_json
from tests.publishing.small_run import merge, verdict, write_run


def make_repo(folder: Path, decision: str = "ship") -> Path:
    """The repository, its dataset added to DVC and committed."""
    folder.mkdir()
    git(folder, "init", "-q", "-b", "main")
    git(folder, "config", "user.name", "test")
    git(folder, "config", "user.email", "test@localhost")
    with Repo.init(str(folder)) as repo, repo.config.edit() as config:
        config["core"]["analytics"] = False
    (folder / ".gitignore").write_text("/run\n")
    write_run(folder / "run", decision)
    merge_again(folder, decision)
    return folder


def merge_again(folder: Path, decision: str = "ship", *, on_reject: str = "keep_apart") -> None:
    """Merge what lies in run/, and commit it."""
    merge(folder / "run", decision, out=folder / AUGMENTED, on_reject=on_reject)
    write_json(verdict(decision, folder / "run"), folder / "results" / "evaluate" / "verdict.json")
    commit(folder)


def commit(folder: Path) -> None:
    """Add the dataset to DVC, and commit everything."""
    with Repo(str(folder)) as repo:
        repo.add([str(folder / AUGMENTED)])
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", "Merge")


def forget_data(folder: Path) -> None:
    """Remove the dataset and DVC's cache of it, as in a fresh clone."""
    shutil.rmtree(folder / AUGMENTED)
    shutil.rmtree(folder / ".dvc" / "cache")
