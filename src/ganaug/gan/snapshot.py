"""Generator snapshot: `generator.safetensors` + `generator.json`, all that sampling needs."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save
from torch import Tensor

from ganaug.errors import SnapshotError
from ganaug.fileio import atomic_folder, read_json, sha256_file, write_json
from ganaug.gan.architecture import build_generator, read_architecture
from ganaug.gan.networks import Architecture, Generator

FORMAT = 3
WEIGHTS = "generator.safetensors"
DESCRIPTION = "generator.json"


@dataclass(frozen=True)
class Snapshot:
    """A generator ready to sample."""

    generator: Generator  # in evaluation mode, on the CPU
    architecture: Architecture
    classes: tuple[str, ...]  # names, in label order
    generator_id: str  # sha256 of the weights file


def save_snapshot(
    weights: dict[str, Tensor],
    *,
    folder: Path,
    architecture: Architecture,
    classes: tuple[str, ...],
    training: dict[str, Any],
) -> None:
    """Write a snapshot folder, whole or not at all.

    Args:
        weights: the EMA generator's state dict.
        folder: replaced when it exists.
        classes: names, in label order.
        training: what made it: fingerprint, images seen, val metrics; JSON types.
    """
    with atomic_folder(folder) as temporary:
        contiguous = {name: tensor.detach().cpu().contiguous() for name, tensor in weights.items()}
        (temporary / WEIGHTS).write_bytes(save(contiguous))  # not `save_file`: it hides the file
        description = {
            "format": FORMAT,
            "architecture": asdict(architecture),
            "classes": list(classes),
            "value_range": [-1, 1],
            "weights_sha256": sha256_file(temporary / WEIGHTS),
            "training": training,
        }
        write_json(description, temporary / DESCRIPTION)


def load_snapshot(folder: Path) -> Snapshot:
    """Read a snapshot folder; needs neither dataset nor GPU.

    Raises:
        SnapshotError: the weights are missing, torn, or not those that the description names.
        DatasetError: the description is missing or not JSON.
    """
    description = read_json(folder / DESCRIPTION)
    if description.get("format") != FORMAT:
        raise SnapshotError(
            f"{folder / DESCRIPTION}: format {description.get('format')} is not {FORMAT}; "
            "train again with this version of ganaug"
        )
    weights_path = folder / WEIGHTS
    if not weights_path.exists():
        raise SnapshotError(f"{weights_path}: no such file; run the stage train")
    generator_id = sha256_file(weights_path)
    if generator_id != description["weights_sha256"]:
        raise SnapshotError(f"{weights_path}: does not match {DESCRIPTION}; run the stage train")
    architecture = read_architecture(description["architecture"])
    generator = build_generator(architecture)
    generator.load_state_dict(load_file(weights_path))
    generator.eval().requires_grad_(False)
    return Snapshot(generator, architecture, tuple(description["classes"]), generator_id)
