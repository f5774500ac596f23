"""Where the results of a report come from: code and versions."""

import platform
import subprocess
from functools import partial
from importlib.metadata import version
from pathlib import Path

PACKAGES = ("ganaug", "torch", "numpy", "pandas", "pyarrow", "scikit-learn", "albumentations")
CODE = ("*.py", "*.yaml", "constraints.txt")  # what decides a result, as Git's pathspecs
PROVENANCE = "provenance.json"  # which commit's code ran: the report itself must not depend on it


def code_revision(folder: Path) -> str | None:
    """Git's commit of a working folder, and whether code or params differ; None without Git."""
    git = partial(subprocess.check_output, cwd=folder, text=True, stderr=subprocess.DEVNULL)
    try:
        head = git(["git", "rev-parse", "HEAD"]).strip()
        # Not of all files: the run itself writes results and dvc.lock.
        changed = git(["git", "status", "--porcelain", "--", *CODE])
    except (FileNotFoundError, subprocess.CalledProcessError):
        return None
    return f"{head} + uncommitted changes" if changed else head


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that make the results.

    A patch of Python changes no result, so it must not change the report's bytes either.
    """
    python = ".".join(platform.python_version_tuple()[:2])
    return {"Python": python} | {package: version(package) for package in PACKAGES}
