"""A temporary clone of this repository, its params cut down so that `dvc repro` takes a minute."""

import os
import subprocess
import sys
from pathlib import Path

from ruamel.yaml import YAML

REPOSITORY = Path(__file__).parents[1]
TINY = {
    "prepare": {"source": "digits", "resolution": 16},
    "train": {"size": "tiny", "kimg": 4, "batch_size": 32, "num_evaluations": 2},
    "generate": {"amount": 0.3, "strategy": "ratio", "filter_steps": 30, "min_label_confidence": 0},
    "evaluate": {"num_seeds": 2, "num_steps": 20},
}


def environment(folder: Path) -> dict[str, str]:
    """Variables that put this interpreter first on the path, and the clone's code first."""
    return os.environ | {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(folder / "src"),
        "DVC_NO_ANALYTICS": "1",
    }


def dvc(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "dvc", *arguments]
    return subprocess.run(
        command, cwd=folder, env=environment(folder), capture_output=True, text=True, check=False
    )


def change_params(folder: Path, changes: dict) -> None:
    yaml = YAML()
    params = yaml.load(folder / "params.yaml")
    for section, values in changes.items():
        params[section].update(values)
    yaml.dump(params, folder / "params.yaml")


def make_clone(folder: Path) -> None:
    """Clone, lay the working tree's files over it, and cut the params down."""
    subprocess.run(["git", "clone", "-q", str(REPOSITORY), str(folder)], check=True)
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
    )
    for name in filter(None, listed.stdout.split("\0")):
        if (REPOSITORY / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes((REPOSITORY / name).read_bytes())
    change_params(folder, TINY)
