"""The manifest of a merged dataset: its shards, configs and best recipes."""

from collections.abc import Mapping
from operator import itemgetter
from pathlib import Path
from typing import Any

from ganaug.errors import DatasetError
from ganaug.fileio import read_json
from ganaug.records import SPLITS

MANIFEST = "manifest.json"
CARD = "README.md"
CLASSICAL = "classical.json"  # policy of classical augmentation, as albumentations writes it
APART = "synthetic"  # folder of the synthetic shards that are not recommended


def read_manifest(folder: Path) -> dict[str, Any]:
    """manifest.json of a merged dataset.

    Raises:
        DatasetError: it is missing or lacks a key.
    """
    manifest: dict[str, Any] = read_json(folder / MANIFEST)
    missing = [key for key in ("files", "classes", "counts", "documents") if key not in manifest]
    if missing:
        raise DatasetError(f"{folder / MANIFEST}: lacks {', '.join(missing)}; run the stage merge")
    return manifest


def configs_of(manifest: Mapping[str, Any]) -> dict[str, list[str]]:
    """The sources of the rows in each config: `default` is what the verdict recommends.

    Without synthetic images there is no `augmented`. Before schema version 3 a manifest named no
    configs; the whole folder was recommended.
    """
    if "configs" in manifest:
        return dict(manifest["configs"])
    sources = sorted({facts["source"] for facts in manifest["files"].values()})
    both = {"augmented": sources} if "synthetic" in sources else {}
    return {"default": sources, "real": ["real"], **both}


def shards_of(
    folder: Path, manifest: Mapping[str, Any], split: str, *, config: str = "default"
) -> list[Path]:
    """The shards of train, val or test in a config, in order: real ones first.

    Raises:
        DatasetError: there is no such split or no such config.
    """
    if split not in SPLITS:
        raise DatasetError(f"no split {split!r}; there are {', '.join(SPLITS)}")
    return [folder / name for name in files_of(manifest, split, config)]


def files_of(manifest: Mapping[str, Any], split: str, config: str) -> dict[str, dict[str, Any]]:
    """The facts of these shards by name, in the order of `shards_of`."""
    sources = _known(configs_of(manifest), config, "config")
    found = [
        (facts["source"], name, facts)
        for name, facts in manifest["files"].items()
        if facts["split"] == split and facts["source"] in sources
    ]
    return {name: facts for _, name, facts in sorted(found, key=itemgetter(0, 1))}


def recipe_of(manifest: Mapping[str, Any], config: str, *, network: str | None) -> dict[str, Any]:
    """The best recipe on val for this network, by default the first one, and config.

    Raises:
        DatasetError: there is no such config or network.
    """
    sources = _known(configs_of(manifest), config, "config")
    if "recipes" not in manifest:  # before schema version 3
        ratio = (manifest.get("ratio") or 0) if "synthetic" in sources else 0
        return {"balanced": False, "classical": True, "share": ratio / (1 + ratio)}
    recipes = manifest["recipes"]
    network = next(iter(recipes)) if network is None else network
    return dict(_known(recipes, network, "network")[config]["recipe"])


def _known(named: Mapping[str, Any], name: str, what: str) -> Any:
    if name not in named:
        raise DatasetError(f"no {what} {name!r} in this dataset; there are {', '.join(named)}")
    return named[name]
