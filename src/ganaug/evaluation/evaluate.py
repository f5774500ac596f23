"""The stage `evaluate`: everything that is measured about the synthetic images, and the verdict."""

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import joblib
import pandas as pd

from ganaug.config import EvaluateParams
from ganaug.evaluation.arms import ARMS, Recipe, run_arms, train_arm
from ganaug.evaluation.classical import ClassicalAugmentation
from ganaug.evaluation.features import FeatureExtractor, Features, ImageNetFeatures
from ganaug.evaluation.inputs import Parts, read_parts
from ganaug.evaluation.leaks import check_no_leak, check_no_near_duplicates
from ganaug.evaluation.measures import (
    describe_extractor,
    describe_pairs,
    extract,
    measure_copying,
    measure_distances,
)
from ganaug.evaluation.summaries import compare_arms, recall_changes, rounded, summarise_arms
from ganaug.evaluation.thumbnails import NAME as THUMBNAILS
from ganaug.evaluation.thumbnails import thumbnails
from ganaug.evaluation.trained_features import TrainedFeatures
from ganaug.evaluation.verdict import DECISIVE, Margins, decide
from ganaug.preparing.prepared import Prepared
from ganaug.records import SPLITS
from ganaug.rng import derive_seed

SCORED = ("val", "test")


@dataclass(frozen=True)
class Evaluation:
    """What the stage writes, as plain values."""

    metrics: dict[str, Any]
    verdict: dict[str, Any]
    runs: pd.DataFrame  # a row per arm, seed and split
    pairs: list[dict[str, Any]]  # synthetic images nearest to a training image


def evaluate(
    prepared: Prepared,
    synthetic: Path,
    *,
    params: EvaluateParams,
    seed: int,
    num_workers: int | None = None,
) -> Evaluation:
    """Measure the synthetic images against real ones and decide whether to ship them.

    Args:
        prepared: the real dataset.
        synthetic: folder of `generate`: synthetic.json, and shards unless no image was accepted.
        params: section `evaluate`.
        seed: every draw derives from it.
        num_workers: processes that train classifiers; None takes all cores. Numbers don't change.
    Raises:
        DatasetError: a shard is missing, classes differ, or a test image has leaked.
    """
    recipe = Recipe(
        num_steps=params.num_steps,
        batch_size=params.batch_size,
        lr=params.lr,
        synthetic_fraction=params.synthetic_fraction,
        symmetries=prepared.symmetries,
    )
    with tempfile.TemporaryDirectory(prefix="ganaug-") as scratch:
        parts = read_parts(prepared, synthetic, scratch=Path(scratch))
        num_synthetic = len(parts["synthetic"].rows)
        real = {split: parts[split].rows for split in SPLITS}
        check_no_leak(real, parts["synthetic"].rows)
        small = extract(thumbnails, parts)
        check_no_near_duplicates(real, small)
        runs = run_arms(
            parts["train"].data,
            parts["synthetic"].data,
            {split: parts[split].data for split in SCORED},
            class_names=prepared.classes,
            recipe=recipe,
            num_seeds=params.num_seeds,
            seed=seed,
            num_workers=num_workers or joblib.cpu_count(),
        )
        measured, memorisation, pairs = _look_at_images(
            parts, small, prepared.classes, recipe=recipe, confidence=params.confidence, seed=seed
        )
    deltas = compare_arms(runs, confidence=params.confidence, seed=seed)
    verdict = decide(
        {arms: deltas[arms]["test"] for arms in DECISIVE},
        recall_changes(runs, prepared.classes),
        memorisation,
        margins=Margins(params.harm_margin_pp, params.recall_margin_pp, params.confidence),
        num_synthetic=num_synthetic,
    )
    verdict |= {"synthetic_fraction": params.synthetic_fraction, "num_seeds": params.num_seeds}
    policy = ClassicalAugmentation(prepared.symmetries, seed=0).to_dict()
    arms = summarise_arms(runs, prepared.classes)
    metrics = {"arms": arms, "deltas": deltas, **measured, "classical_augmentation": policy}
    return Evaluation(rounded(metrics), rounded(verdict), runs, rounded(pairs))


def _look_at_images(
    parts: Parts,
    small: dict[str, Features],
    classes: tuple[str, ...],
    *,
    recipe: Recipe,
    confidence: float,
    seed: int,
) -> tuple[dict[str, Any], dict[str, dict[str, Any]], list[dict[str, Any]]]:
    """Distances and memorisation in their feature spaces, and the closest pairs."""
    learned = train_arm(
        ARMS["B"],
        parts["train"].data,
        parts["synthetic"].data,
        num_classes=len(classes),
        recipe=recipe,
        seed=derive_seed(seed, "evaluate", "features"),
    )
    spaces: dict[str, FeatureExtractor] = {
        "distances": ImageNetFeatures(),
        "distances_trained": TrainedFeatures(learned),
    }
    features = {space: extract(extractor, parts) for space, extractor in spaces.items()}
    distances = {
        space: describe_extractor(extractor)
        | measure_distances(features[space], parts, classes, seed=seed)
        for space, extractor in spaces.items()
    }
    memorisation = measure_copying(
        {"imagenet": features["distances"], "thumbnails": small},
        parts,
        confidence=confidence,
        seed=seed,
    )
    pairs = describe_pairs(features["distances"], parts["train"].rows, parts["synthetic"].rows)
    measured = {**distances, "memorisation": memorisation | {"thumbnails_space": THUMBNAILS}}
    return measured, memorisation, pairs
