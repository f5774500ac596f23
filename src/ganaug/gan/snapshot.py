"""Generator snapshot: `generator.safetensors` and `generator.json`, all that sampling needs.

A family may build its images on training images. The weights then hold their rows, and the JSON
their image_ids under "parents": a list per class, with null for none.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save
from torch import Tensor

from ganaug.errors import SnapshotError, explained
from ganaug.fileio import atomic_folder, read_json, sha256_file, write_sealed
from ganaug.gan.architecture import build_generator, read_architecture
from ganaug.gan.networks import Architecture, Generator
from ganaug.gan.sampling import AS_TRAINED, LatentLaw, latents

FORMAT = 4
WEIGHTS = "generator.safetensors"
DESCRIPTION = "generator.json"
# What broken numbers and shapes raise on the way to a network.
UNUSABLE = (
    *(LookupError, TypeError, ValueError, AttributeError, ArithmeticError, RuntimeError),
    *(MemoryError, SafetensorError),
)


@dataclass(frozen=True)
class Snapshot:
    """A generator ready to sample."""

    generator: Generator  # in evaluation mode, on the CPU
    architecture: Architecture
    classes: tuple[str, ...]  # names, in label order
    generator_id: str  # sha256 of the weights file
    image_ids: dict[int, str] = field(default_factory=dict)  # of the rows of its possible parents
    sound: dict[str, Any] | None = None  # of spectrograms, as in prepared.json

    @torch.inference_mode()
    def parent_ids(
        self, labels: Sequence[int], seeds: Sequence[int], *, law: LatentLaw = AS_TRAINED
    ) -> list[str | None]:
        """image_ids, with spaces between, of what each sampled image is built on; None: on none."""
        z = latents(labels, seeds, latent_dim=self.generator.latent_dim, law=law)
        rows = self.generator.parents(z, torch.tensor(labels)).tolist()
        known = [[self.image_ids[row] for row in own if row in self.image_ids] for own in rows]
        return [" ".join(ids) or None for ids in known]


def save_snapshot(
    weights: dict[str, Tensor],
    *,
    folder: Path,
    architecture: Architecture,
    classes: tuple[str, ...],
    training: dict[str, Any],
    image_ids: Sequence[str] = (),
    sound: dict[str, Any] | None = None,
) -> None:
    """Write a snapshot folder, whole or not at all.

    Args:
        weights: the EMA generator's state dict, contiguous, on the CPU.
        folder: replaced when it exists.
        classes: names, in label order.
        training: facts about the run: fingerprint, images seen, val metrics; JSON types.
        image_ids: of all training images, in order; only needed by a generator that builds on them.
        sound: of spectrograms, as in prepared.json.
    """
    generator = build_generator(architecture)
    generator.load_state_dict(weights)
    possible, parents = generator.possible_parents(), None
    if possible is not None:  # the image_ids of each class's, None for none
        parents = {
            name: [image_ids[row] if row >= 0 else None for row in rows]
            for name, rows in zip(classes, possible.tolist(), strict=True)
        }
    with atomic_folder(folder) as temporary:
        (temporary / WEIGHTS).write_bytes(save(weights))  # not `save_file`: it hides the file
        description = {
            "format": FORMAT,
            "architecture": asdict(architecture),
            "classes": list(classes),
            "value_range": [-1, 1],
            "weights_sha256": sha256_file(temporary / WEIGHTS),
            "training": training,
            "parents": parents,
            **({"sound": sound} if sound else {}),
        }
        write_sealed(description, temporary / DESCRIPTION)


def load_snapshot(folder: Path) -> Snapshot:
    """Read a snapshot folder; needs neither dataset nor GPU.

    Raises:
        SnapshotError: the weights are missing, torn, or not those that the description names.
        DatasetError: the description is missing or not JSON.
    """
    description = read_json(folder / DESCRIPTION)
    if not isinstance(description, dict):
        raise SnapshotError(f"{folder / DESCRIPTION}: no object of JSON; run the stage train")
    if description.get("format") != FORMAT:
        raise SnapshotError(
            f"{folder / DESCRIPTION}: format {description.get('format')} is not {FORMAT}; "
            "train again with this version of ganaug"
        )
    weights_path = folder / WEIGHTS
    if not weights_path.exists():
        raise SnapshotError(f"{weights_path}: no such file; run the stage train")
    generator_id = sha256_file(weights_path)
    if generator_id != description.get("weights_sha256"):
        raise SnapshotError(f"{weights_path}: does not match {DESCRIPTION}; run the stage train")
    mismatch = f"{folder / DESCRIPTION}: does not describe {WEIGHTS}"
    with explained(SnapshotError, mismatch, *UNUSABLE, then="run the stage train"):
        architecture = read_architecture(description["architecture"])
        classes = _read_classes(description["classes"], architecture.num_classes)
        generator = _load_generator(architecture, weights_path)
        image_ids = _read_ids(generator.possible_parents(), description)
    sound = description.get("sound")
    return Snapshot(generator, architecture, classes, generator_id, image_ids, sound)


def _load_generator(architecture: Architecture, weights: Path) -> Generator:
    """Build the networks only once their shapes, made without memory, are those in the file.

    A description can ask for terabytes.
    """
    with torch.device("meta"):
        wanted = {k: list(v.shape) for k, v in build_generator(architecture).state_dict().items()}
    with safe_open(weights, framework="pt") as file:
        found = {name: file.get_slice(name).get_shape() for name in file.keys()}  # noqa: SIM118
    if wanted != found:
        name = next(n for n in sorted(wanted | found) if wanted.get(n) != found.get(n))
        raise ValueError(f"{name} is {found.get(name)}, not {wanted.get(name)}")
    generator = build_generator(architecture)
    generator.load_state_dict(load_file(weights))
    return generator.eval().requires_grad_(False)


def _read_classes(names: Any, number: int) -> tuple[str, ...]:
    """The names of the classes, which become names of files and folders."""
    good = isinstance(names, list) and all(
        isinstance(name, str) and name not in ("", ".", "..") and not set("/\\\0") & set(name)
        for name in names
    )
    if not good or len(names) != number:
        raise ValueError(f"classes {names!r:.200} are not {number} names")
    return tuple(names)


def _read_ids(possible: Tensor | None, description: dict[str, Any]) -> dict[int, str]:
    """The image_id of each row among the possible parents."""
    if possible is None:
        return {}
    image_ids = chain.from_iterable(description["parents"].values())
    pairs = zip(possible.flatten().tolist(), image_ids, strict=True)
    return {row: image_id for row, image_id in pairs if image_id is not None}
