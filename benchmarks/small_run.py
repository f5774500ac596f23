"""A made-up dataset and verdict, for benchmarks and tests of what comes after the verdict."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ganaug.config import MergeParams, load_params
from ganaug.fileio import read_json
from ganaug.publishing.merge import merge_dataset
from ganaug.shards import describe_files

CLASSICAL = load_params(Path(__file__).parents[1] / "params.yaml").evaluate.classical
CLASSES = ("clear", "cracked")
GENERATOR = "ab" * 32
PROVENANCE = {  # what the rows of synthetic images have in common
    "source": "synthetic",
    "split": "train",
    "generator_id": GENERATOR,
    "label_confidence": 0.9,
    "realism": 1.1,
    "nearest_id": "0" * 32,
    "nearest_distance": 2.5,
    "weight": 1.0,
}
SOURCE = {
    "name": "toy <cells>",
    "version": "1.0",
    "license": "CC-BY-NC-SA-4.0",
    "citation": "A. Person: Toy cells, 2026.",
    "homepage": "https://example.org/cells",
}


def synthetic_document(
    counts: Mapping[str, int], shards: Sequence[Path], **changes: object
) -> dict[str, Any]:
    """The content of synthetic.json: as many images wanted, drawn and accepted, by class name."""
    how = {"strategy": "balance", "amount": 1.5, "latent_std": 1.0, "truncation": None}
    numbers = dict.fromkeys(("wanted", "drawn", "accepted"), counts)
    rejected: dict[str, dict[str, int]] = {name: {} for name in counts}
    facts = {"generator_id": GENERATOR, **how, **numbers, "rejected": rejected}
    return facts | changes | {"files": describe_files(shards)}


def verdict(
    decision: str, run: Path | None = None, *, passed: bool = True, any_synthetic: bool = True
) -> dict[str, Any]:
    """The content of verdict.json.

    Args:
        decision: ship, ship_real_only or undecided.
        run: folder with prepared/ and synthetic/, whose shards it judged.
        passed: whether no synthetic image copies a real one.
        any_synthetic: whether there are synthetic images.
    """
    networks = {
        "cnn": _network("a small CNN", mixup=True),
        "linear": _network("a linear classifier on ImageNet features", mixup=False),
    }
    if not any_synthetic:
        without = {"with": None, "chosen_share": 0, "uplift": None, "recall_change_pp": None}
        networks = {net: facts | without for net, facts in networks.items()}
    return {
        "decision": decision,
        "sentence": "Synthetic images raise macro-F1 by 1.2 pp.",
        "reasons": ["A small CNN: the interval lies above -0.5 pp."],
        "rule": {
            "text": "Ship when no harm shows.",
            "harm_margin_pp": 0.5,
            "recall_margin_pp": 2.0,
            "confidence": 0.95,
        },
        "judged": _judged(run),
        "networks": networks,
        "classes_without_images": [],
        "memorisation": {"passed": passed},
        "num_repetitions": 6,
    }


def _network(words: str, *, mixup: bool) -> dict[str, Any]:
    recipe: dict[str, Any] = {"balanced": True, "classical": True}
    recipe |= {"mixup": mixup, "soft_labels": False}
    base = "classes drawn equally often, classical augmentation" + (", mixup" if mixup else "")
    added = recipe | {"share": 0.25, "schedule": "first" if mixup else "mix", "weight": 0.5}
    uplift = {"mean_pp": 1.24, "low_pp": 0.31, "high_pp": 2.17}
    uplift |= {"num_repetitions": 6, "num_groups": 11}
    better = {"name": "better", "words": f"{base}, 25% of each batch synthetic", "recipe": added}
    changes = {"clear": uplift | {"mean_pp": 0.4}, "cracked": uplift | {"mean_pp": 2.6}}
    return {
        "words": words,
        "without": {"name": "base", "words": base, "recipe": recipe},
        "with": better,
        "chosen_share": 0.25,
        "at_edge": False,
        "plain_gain": uplift | {"mean_pp": 7.46, "low_pp": 6.02, "high_pp": 8.91},
        "uplift": uplift,
        "recall_change_pp": changes,
    }


def _judged(run: Path | None) -> dict[str, Any]:
    if run is None:
        return {"generator_id": GENERATOR, "files": {}}
    real = read_json(run / "prepared" / "prepared.json")
    generation = read_json(run / "synthetic" / "synthetic.json")
    shards = real["files"] | generation["files"]
    files = {name: facts["sha256"] for name, facts in shards.items()}
    return {"generator_id": generation["generator_id"], "files": files}


def merge(
    run: Path,
    decision: str = "ship",
    *,
    out: Path | None = None,
    on_reject: str = "keep_apart",
    published: str | None = None,
    decided: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Merge what lies in a run, by default to augmented/ in it and with a verdict about it.

    Returns:
        The manifest.
    """
    params = {"name": "toy-augmented", "on_reject": on_reject, "published": published}
    return merge_dataset(
        prepared=run / "prepared",
        synthetic=run / "synthetic",
        verdict=decided or verdict(decision, run),
        out=out or run / "augmented",
        params=MergeParams.model_validate(params),
        classical=CLASSICAL,
    )
