"""`make release-check`: everything that consumers will do with data/augmented, before they do.

Works on a copy of the repository, with the run's results committed there; nothing here is changed.
"""

import contextlib
import io
import logging
import os
import shutil
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.consumers import (
    AUGMENTED,
    REPOSITORY,
    check_croissant,
    check_exports,
    check_release,
    check_remote,
    copy_repository,
    git,
    run,
    run_section,
    s3_bucket,
    section_of,
)
from benchmarks.timing import seconds_of
from ganaug.publishing.verify import verify_dataset


def main() -> None:
    """Run every check, saying what passed; the first that fails ends with its traceback."""
    with tempfile.TemporaryDirectory(prefix="release-check-") as name:
        scratch = Path(name)
        os.environ |= {"HF_HUB_OFFLINE": "1", "HF_HOME": str(scratch / "hub"), "HOME": name}
        os.environ["HF_DATASETS_DISABLE_PROGRESS_BARS"] = "1"
        logging.disable(logging.WARNING)
        repo = scratch / "repo"
        copy_repository(repo)
        for path in (AUGMENTED, "models/generator"):  # the snippets need both
            shutil.copytree(REPOSITORY / path, repo / path)
        git(repo, "config", "user.name", "release-check")
        git(repo, "config", "user.email", "release-check@localhost")
        run("dvc", "cache", "dir", "--local", str(REPOSITORY / ".dvc" / "cache"), folder=repo)
        git(repo, "add", "-A")
        git(repo, "commit", "-q", "--allow-empty", "-m", "Run")
        dataset = repo / AUGMENTED
        passed("verified", verify_dataset, dataset)
        passed("committed as it lies there", require_committed, repo)
        passed("released as a version, and once", check_release, repo)
        git(repo, "tag", "augmented@v1.2.0")
        passed("valid Croissant, read row by row", check_croissant, dataset)
        for readme, title in (
            (REPOSITORY / "README.md", "Load the result"),
            (dataset / "README.md", "How to load it"),
        ):
            text = section_of(readme, title)
            passed(f"{title}: all snippets", partial(run_section, text, folder=repo))
        passed("exports give pixels and labels back", check_exports, dataset, scratch / "out")
        passed("folder remote", check_remote, repo, str(scratch / "remote"), scratch / "a")
        with s3_bucket("release") as (url, endpoint):
            passed("S3 remote", check_remote, repo, url, scratch / "b", endpoint)


def passed(what: str, check: Callable[..., object], *arguments: Any) -> None:
    """Run a check and say how long it took."""
    with contextlib.redirect_stdout(io.StringIO()):
        seconds = seconds_of(partial(check, *arguments))
    print(f"{what}: {seconds:.1f} s", flush=True)


def require_committed(repo: Path) -> None:
    """dvc.lock names the dataset that lies there."""
    assert run("dvc", "diff", "--targets", AUGMENTED, folder=repo).strip() == "", (
        "run `make repro` first"
    )


if __name__ == "__main__":
    main()
