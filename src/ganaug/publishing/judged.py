"""Check that a verdict judged exactly these images."""

from collections.abc import Mapping
from typing import Any

from ganaug.errors import DatasetError
from ganaug.publishing.manifest import APART

NEEDED = ("decision", "sentence", "networks", "judged", "memorisation")
SYNTHETIC_STEM = "train-synthetic-"  # of the shards of the stage generate


def require_judged(
    verdict: Mapping[str, Any], *, generator_id: str | None, files: Mapping[str, Mapping[str, Any]]
) -> None:
    """Check that a verdict judged these shards and this generator's images.

    Args:
        verdict: content of verdict.json.
        generator_id: of the synthetic images; None if there are none.
        files: facts by shard, `sha256` among them, named as the stages or the merged dataset do.
    Raises:
        DatasetError: it lacks a key, or judged something else; names the first file.
    """
    missing = [key for key in NEEDED if key not in verdict]
    if missing:
        raise DatasetError(f"verdict.json: lacks {', '.join(missing)}; run the stage evaluate")
    judged = verdict["judged"]
    if generator_id is not None and judged["generator_id"] != generator_id:
        raise DatasetError(
            f"verdict.json: judged generator {judged['generator_id']}, and these images are of "
            f"{generator_id}; run the stage evaluate"
        )
    judged_hashes = {
        name: sha256
        for name, sha256 in judged["files"].items()
        if generator_id is not None or not name.startswith(SYNTHETIC_STEM)
    }
    # What is kept apart has another name in the merged dataset, see `name_apart`.
    hashes = {name.replace(f"{APART}/", "train-"): f["sha256"] for name, f in files.items()}
    for name in sorted(judged_hashes.keys() | hashes.keys()):
        if judged_hashes.get(name) != hashes.get(name):
            raise DatasetError(
                f"verdict.json: judged {_short(judged_hashes.get(name))} as {name}, and here is "
                f"{_short(hashes.get(name))}; run the stage evaluate"
            )


def name_apart(name: str) -> str:
    """The path of a synthetic shard that is kept apart, in the merged dataset.

    Loaders that look for `train-*` files don't find it, whatever folder they search.
    """
    return f"{APART}/{name.removeprefix('train-')}"


def _short(sha256: str | None) -> str:
    return f"sha256 {sha256[:12]}" if sha256 else "nothing"
