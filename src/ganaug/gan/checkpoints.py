"""Checkpoints: all that resuming needs, written atomically; the newest two are kept.

They are not DVC outputs, since DVC deletes those before a stage. Their folder is named by a
fingerprint of parameters, data and code, so another run never uses them. Tensors and JSON only.
"""

import hashlib
import json
import shutil
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock, Timeout
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from ganaug.errors import TrainingError, explained
from ganaug.fileio import atomic_file

KEPT = 2
FORMAT = 1
DAMAGED = (SafetensorError, KeyError, TypeError, ValueError)  # what was read makes no checkpoint


def fingerprint(content: Any) -> str:
    """16 hexadecimal digits that change with any part of `content` (JSON types)."""
    text = json.dumps([FORMAT, content], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


class Checkpoints:
    """The checkpoints of one run.

    Args:
        root: the folder of all runs.
        run: the run's fingerprint.
    """

    def __init__(self, root: Path, run: str) -> None:
        self.folder = root / run
        self._best = self.folder / "best.safetensors"

    def locked(self) -> AbstractContextManager[object]:
        """Lock the run for this process; the lock ends with the process, however it dies.

        Raises:
            TrainingError: another process holds the lock.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        try:
            return FileLock(self.folder.with_suffix(".lock"), timeout=0).acquire()
        except Timeout:
            raise TrainingError(
                f"{self.folder}: another process is training this run; "
                "wait for it, or stop it and start again"
            ) from None

    def save(self, tensors: dict[str, Tensor], facts: dict[str, Any], *, images_seen: int) -> None:
        """Write a checkpoint and drop all but the newest two."""
        _write(self.folder / f"{images_seen:012d}.safetensors", tensors, facts)
        for old in self._newest_first()[KEPT:]:
            old.unlink()

    def save_best(self, tensors: dict[str, Tensor], facts: dict[str, Any]) -> None:
        """Write the best state, to roll back to and to ship; replaces the last one."""
        _write(self._best, tensors, facts)

    def load_best(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """What `save_best` wrote last.

        Raises:
            TrainingError: it can't be read.
        """
        then = f"remove {self.folder} and train again"
        with explained(TrainingError, f"{self._best}: damaged", *DAMAGED, then=then):
            return _read(self._best)

    def load(self) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
        """The newest whole checkpoint, or None. Removes torn ones.

        Raises:
            TrainingError: a checkpoint can't be read from disk; nothing is removed.
        """
        for path in self._newest_first():
            try:
                return _read(path)
            except DAMAGED:
                path.unlink()
        return None

    def clear(self) -> None:
        """Remove the run's checkpoints; called once its snapshot is safe."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _newest_first(self) -> list[Path]:
        return sorted(self.folder.glob("[0-9]*.safetensors"), reverse=True)


def _write(path: Path, tensors: dict[str, Tensor], facts: dict[str, Any]) -> None:
    contiguous = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    text = json.dumps(facts)
    metadata = {"facts": text, "sha256": _digest(contiguous, text)}
    with atomic_file(path) as temporary:
        then = "free some space and start again"  # a full disk, most likely
        with explained(TrainingError, f"{path}: can't be written", SafetensorError, then=then):
            save_file(contiguous, temporary, metadata=metadata)


def _digest(tensors: dict[str, Tensor], facts: str) -> str:
    """Hash of all that is saved; safetensors has none, and a turned bit would not be noticed."""
    digest = hashlib.sha256(facts.encode())
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _read(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    then = "nothing was removed. Mend the disk or the permissions and start again"
    with explained(TrainingError, f"{path}: can't be read", OSError, then=then):
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            metadata = file.metadata()
        if metadata["sha256"] != _digest(tensors, metadata["facts"]):
            raise ValueError("its bytes have changed")
        return tensors, json.loads(metadata["facts"])
