"""Release the dataset: check it, then tag the commit in GTO's format.

Version numbers follow Croissant's rule: the same rows are a patch, added rows a minor version,
changed or removed rows a major one. The rule holds for the default config and for the whole
dataset, including synthetic images that are kept apart.
"""

import subprocess
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ganaug.data import AUGMENTED, dvc_version
from ganaug.errors import DatasetError, GanaugError, require_known
from ganaug.fileio import read_json
from ganaug.publishing.judged import require_judged
from ganaug.publishing.manifest import MANIFEST, configs_of
from ganaug.publishing.merge import merge_metrics
from ganaug.publishing.verify import verify_dataset
from ganaug.records import SOURCES
from ganaug.shards import read_rows

ARTIFACT = "augmented"  # as dvc.yaml names it
FIRST = {"patch": "v0.0.1", "minor": "v0.1.0", "major": "v1.0.0"}  # and the bumps, in order
MESSAGE = "{name}: {num_real} real and {num_synthetic} synthetic images ({synthetic}), {decision}"
VERDICT = "results/evaluate/verdict.json"


def make_release(bump: str, *, repo: Path) -> str:
    """Tag the current commit as the next version of the dataset.

    Args:
        bump: patch, minor or major.
        repo: root of the repository.
    Returns:
        The tag, say "augmented@v1.2.0".
    Raises:
        GanaugError: uncommitted changes, nothing new since the last version, or too small a bump.
        DatasetError: the dataset is not committed, fails verification, lacks its verdict, or shows
            people and nobody has seen all its synthetic images.
    """
    import gto.api
    from gto.exceptions import ArtifactNotFound

    require_known("--bump", bump, FIRST)
    _require_committed(repo)
    manifest = verify_dataset(repo / AUGMENTED)
    _require_verdict(repo, manifest)
    _require_review(manifest)
    version: dict[str, Any] = {"version": FIRST[bump]}
    with suppress(ArtifactNotFound):
        last = gto.api.find_latest_version(str(repo), ARTIFACT)
        version = {f"bump_{bump}": True}
        _require_enough(bump, repo, manifest, tag=f"{ARTIFACT}@{last.version}")
    message = MESSAGE.format_map(manifest | merge_metrics(manifest))
    return str(gto.api.register(str(repo), ARTIFACT, "HEAD", message=message, **version).tag)


def _require_verdict(repo: Path, manifest: dict[str, Any]) -> None:
    """Require that the verdict has the dataset's decision and judged its shards."""
    verdict = read_json(repo / VERDICT)
    if verdict.get("decision") != manifest["decision"]:
        raise DatasetError(f"{VERDICT} is not the verdict of {AUGMENTED}; run `make repro`")
    require_judged(verdict, generator_id=manifest["generator_id"], files=manifest["files"])


def _require_review(manifest: dict[str, Any]) -> None:
    """Require that somebody has seen all synthetic images, if the real ones show people."""
    any_synthetic = any(facts["source"] == "synthetic" for facts in manifest["files"].values())
    seen = manifest.get("review", {}).get("complete", False)
    if any_synthetic and manifest["real_images"].get("people") and not seen:
        raise DatasetError(
            f"{AUGMENTED} shows people (prepare.files.people), and nobody has seen all of its "
            "synthetic images: run `ganaug review`, say there that you have, then `make repro`"
        )


def _require_committed(repo: Path) -> None:
    """Require that all files, the dataset included, are committed."""
    from dvc.exceptions import DvcException
    from dvc.repo import Repo

    git = ["git", "status", "--porcelain"]
    shown = subprocess.run(git, cwd=repo, capture_output=True, text=True, check=False)
    if shown.returncode:
        raise GanaugError(f"{repo}: no Git repository ({shown.stderr.strip()})")
    if shown.stdout:
        raise GanaugError(f"{repo}: commit first ({shown.stdout.splitlines()[0].strip()})")
    try:
        with Repo(str(repo)) as tracked:
            status = tracked.status(targets=[str(repo / AUGMENTED)])
    except DvcException as error:
        raise DatasetError(f"{AUGMENTED}: {error}") from None
    notes = [entry for entries in status.values() for entry in entries if isinstance(entry, dict)]
    deps = [state for entry in notes for state in entry.get("changed deps", {}).values()]
    # A clone may have pulled the dataset only, without the inputs of its stage.
    if any("changed outs" in entry for entry in notes) or any(s != "deleted" for s in deps):
        raise DatasetError(f"{AUGMENTED} is not what dvc.lock says; run `make repro` and commit")


def _require_enough(bump: str, repo: Path, manifest: dict[str, Any], *, tag: str) -> None:
    """Require a bump as large as the change in the default config and in the whole dataset."""
    bumps, needs = list(FIRST), []
    with dvc_version(tag, repo=str(repo)) as files, TemporaryDirectory() as name:
        scratch = Path(name)
        files.get_file(f"{AUGMENTED}/{MANIFEST}", str(scratch / MANIFEST))
        before = read_json(scratch / MANIFEST)
        if before == manifest:
            raise GanaugError(f"nothing has changed since {tag}")
        for by_default in (True, False):
            old, new = (_shards(one, by_default=by_default) for one in (before, manifest))
            gone = [scratch / old[sha256] for sha256 in old if sha256 not in new]
            added = [repo / AUGMENTED / new[sha256] for sha256 in new if sha256 not in old]
            for path in gone:
                if not path.exists():
                    path.parent.mkdir(exist_ok=True)
                    where = path.relative_to(scratch).as_posix()
                    files.get_file(f"{AUGMENTED}/{where}", str(path))
            needs.append(needed_bump(gone, added))
    needed, reason = max(needs, key=lambda pair: bumps.index(pair[0]))
    if bumps.index(bump) < bumps.index(needed):
        raise GanaugError(f"since {tag} {reason}: that takes --bump {needed}")


def _shards(manifest: dict[str, Any], *, by_default: bool) -> dict[str, str]:
    """Names of the shards by sha256: all, or those of the config `default`."""
    sources = configs_of(manifest)["default"] if by_default else SOURCES
    files = manifest["files"].items()
    return {facts["sha256"]: name for name, facts in files if facts["source"] in sources}


def needed_bump(before: Sequence[Path], after: Sequence[Path]) -> tuple[str, str]:
    """The smallest bump between two sets of shards, and why."""
    old, new = _row_hashes(before), _row_hashes(after)
    if gone := len(np.setdiff1d(old, new)):
        return "major", f"{gone} rows were changed or removed"
    if added := len(np.setdiff1d(new, old)):
        return "minor", f"{added} rows were added"
    return "patch", "the rows are the same"


def _row_hashes(paths: Sequence[Path]) -> NDArray[np.uint64]:
    """A hash of each row: its image_id, its class by place and name, and all columns."""
    hashes = [np.empty(0, np.uint64)]
    for path in paths:  # one by one: columns without a null have other types
        rows, classes = read_rows([path])
        rows = rows.assign(class_name=np.array(classes)[rows["label"]])
        hashes.append(np.asarray(pd.util.hash_pandas_object(rows, index=False), np.uint64))
    return np.concatenate(hashes)
