"""The stage `evaluate`: everything that is measured about the synthetic images, and the verdict."""

import tempfile
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import joblib
import pandas as pd

from ganaug.config import EvaluateParams
from ganaug.evaluation.arms import (
    ARMS,
    FIT_SECONDS,
    NETWORKS,
    Recipe,
    Run,
    Sets,
    score_runs,
    train_arm,
)
from ganaug.evaluation.batches import Labels
from ganaug.evaluation.classical import ClassicalAugmentation
from ganaug.evaluation.classifier import Classifier, TrainedFeatures
from ganaug.evaluation.features import CachedFeatures, FeatureExtractor, Features, ImageNetFeatures
from ganaug.evaluation.inputs import Parts, read_parts, unfilled_classes
from ganaug.evaluation.leaks import check_no_leak, check_no_near_duplicates
from ganaug.evaluation.linear import standardised_views
from ganaug.evaluation.measures import (
    describe_pairs,
    extract,
    measure_copying,
    measure_distances,
)
from ganaug.evaluation.ratio import Ratio, choose_ratio
from ganaug.evaluation.summaries import CURVE, at, learning_curve, rounded, summarise_networks
from ganaug.evaluation.verdict import MAIN, SECOND, Evidence, Margins, decide
from ganaug.preparing.prepared import Prepared
from ganaug.records import SPLITS
from ganaug.rng import derive_seed
from ganaug.thumbnails import NAME as THUMBNAILS
from ganaug.thumbnails import thumbnails

SCORED = ("val", "test")
IMAGENET, LEARNED = "distances", "distances_trained"  # sections of metrics.json


@dataclass(frozen=True)
class _Measured:
    """What is known before anything is decided."""

    ratio: Ratio | None  # None without synthetic images
    runs: pd.DataFrame  # as in `Evaluation`
    distances: dict[str, dict[str, Any]]  # by feature space, as metrics.json calls it
    memorisation: dict[str, dict[str, Any]]  # by feature space
    pairs: list[dict[str, Any]]
    train_labels: Labels
    num_synthetic: int
    fit_seconds: float


@dataclass(frozen=True)
class Evaluation:
    """What the stage writes, as plain values."""

    metrics: dict[str, Any]
    verdict: dict[str, Any]
    runs: pd.DataFrame  # a row per network, fraction, arm, seed and split
    pairs: list[dict[str, Any]]  # synthetic images nearest to a training image
    fit_seconds: float  # spent in training classifiers, summed over processes


def evaluate(
    prepared: Prepared,
    synthetic: Path,
    *,
    params: EvaluateParams,
    seed: int,
    cache: Path,
    num_workers: int | None = None,
) -> Evaluation:
    """Measure the synthetic images against real ones and decide whether to ship them.

    Args:
        prepared: the real dataset.
        synthetic: folder of `generate`: synthetic.json, and shards unless no image was accepted.
        params: section `evaluate`.
        seed: every draw derives from it.
        cache: folder of features that outlive the run; what this run does not need is deleted.
        num_workers: processes that train classifiers; None takes all cores. Numbers don't change.
    Raises:
        DatasetError: a shard is missing, classes differ, or a test image has leaked.
    """
    classes = prepared.classes
    recipe = Recipe(
        num_steps=params.num_steps,
        batch_size=params.batch_size,
        lr=params.lr,
        class_names=classes,
        symmetries=prepared.symmetries,
        classical=params.classical,
    )
    with tempfile.TemporaryDirectory(prefix="ganaug-") as scratch:
        parts = read_parts(prepared, synthetic, scratch=Path(scratch))
        measured = _measure(
            parts,
            params,
            recipe=recipe,
            seed=seed,
            cache=cache,
            num_workers=num_workers or joblib.cpu_count(),
        )
    runs = measured.runs
    found = {
        fraction: summarise_networks(
            runs[runs["fraction"] == fraction], classes, confidence=params.confidence, seed=seed
        )
        for fraction in params.fractions
    }
    networks = found[1.0]
    verdict = _judge(
        networks, measured, params=params, classes=classes, empty=unfilled_classes(synthetic)
    )
    metrics = {
        "arms": networks[MAIN]["arms"],
        "deltas": networks[MAIN]["deltas"],
        SECOND: {what: networks[SECOND][what] for what in ("arms", "deltas")},
        "learning_curve": learning_curve(found, measured.train_labels),
        **measured.distances,
        "memorisation": measured.memorisation | {"thumbnails_space": THUMBNAILS},
        "classical_augmentation": ClassicalAugmentation(
            prepared.symmetries, params.classical, seed=0
        ).to_dict(),
    }
    return Evaluation(
        rounded(metrics), rounded(verdict), runs, rounded(measured.pairs), measured.fit_seconds
    )


def _measure(
    parts: Parts,
    params: EvaluateParams,
    *,
    recipe: Recipe,
    seed: int,
    cache: Path,
    num_workers: int,
) -> _Measured:
    """Check for leaks, train every classifier, and measure distances and copying.

    Raises:
        DatasetError: a test image has leaked.
    """
    real = {split: parts[split].rows for split in SPLITS}
    check_no_leak(real, parts["synthetic"].rows)
    spaces = {"thumbnails": extract(thumbnails, parts)}
    check_no_near_duplicates(real, spaces["thumbnails"])
    extractor = CachedFeatures(ImageNetFeatures(), cache)
    spaces["imagenet"] = extract(extractor, parts)
    sets = {
        MAIN: {name: part.data for name, part in parts.items()},
        SECOND: _linear_sets(parts, spaces["imagenet"], extractor, recipe, seed=seed),
    }
    extractor.drop_unused()
    ratio, runs = _train(sets, params, recipe=recipe, seed=seed, num_workers=num_workers)
    fit_seconds = float(runs.pop(FIT_SECONDS).sum()) + (ratio.fit_seconds if ratio else 0.0)
    classes = recipe.class_names
    with ThreadPoolExecutor(max_workers=1) as pool:  # the fit takes one core of two
        fitting = pool.submit(_learned_features, sets[MAIN], recipe, seed=seed)
        memorisation = measure_copying(spaces, parts, confidence=params.confidence, seed=seed)
        pairs = describe_pairs(spaces["imagenet"], parts["train"].rows, parts["synthetic"].rows)
        distances = {IMAGENET: _distances(extractor, spaces["imagenet"], parts, classes, seed=seed)}
        learned, seconds = fitting.result()
    distances[LEARNED] = _distances(learned, extract(learned, parts), parts, classes, seed=seed)
    return _Measured(
        ratio=ratio,
        runs=runs,
        distances=distances,
        memorisation=memorisation,
        pairs=pairs,
        train_labels=parts["train"].data.labels,
        num_synthetic=len(parts["synthetic"].rows),
        fit_seconds=fit_seconds + seconds,
    )


def _judge(
    networks: Mapping[str, Mapping[str, Any]],
    measured: _Measured,
    *,
    params: EvaluateParams,
    classes: Sequence[str],
    empty: tuple[str, ...],
) -> dict[str, Any]:
    """The content of verdict.json; `networks` as by `summarise_networks`."""
    evidence = Evidence(
        deltas={net: at(facts["deltas"], "test") for net, facts in networks.items()},
        recall_change_pp={net: facts["recall_change_pp"] for net, facts in networks.items()},
        memorisation=measured.memorisation,
        precision=_precision(measured.distances[IMAGENET], classes),
        ratio=measured.ratio.chosen if measured.ratio else 0.0,
        empty=empty,
        num_synthetic=measured.num_synthetic,
    )
    margins = Margins(params.harm_margin_pp, params.recall_margin_pp, params.confidence)
    ratio = measured.ratio and measured.ratio.to_dict()
    return {**decide(evidence, margins), "ratio": ratio, "num_seeds": params.num_seeds}


def _distances(
    extractor: FeatureExtractor,
    features: Mapping[str, Features],
    parts: Parts,
    classes: Sequence[str],
    *,
    seed: int,
) -> dict[str, Any]:
    """`measure_distances` in an extractor's space, which it names."""
    facts = {"name": extractor.name, "weights_sha256": extractor.weights_sha256}
    return {"extractor": facts} | measure_distances(features, parts, classes, seed=seed)


def _precision(
    distances: Mapping[str, Any], classes: Sequence[str]
) -> dict[str, tuple[float | None, float | None]]:
    """By class, of the synthetic images and of other real ones."""
    made, floor = (distances[side]["classes"] for side in ("synthetic", "floor"))
    return {name: (made[name]["precision"], floor[name]["precision"]) for name in classes}


def _train(
    sets: Mapping[str, Sets], params: EvaluateParams, **how: Any
) -> tuple[Ratio | None, pd.DataFrame]:
    """The ratio that val prefers, None without synthetic images, and every run of the arms."""
    with_synthetic = len(sets[MAIN]["synthetic"].labels) > 0
    ratio = choose_ratio(params.ratios, sets, **how) if with_synthetic else None
    runs = [
        Run(network, arm, number, ratio.measured if ratio else 0.0, fraction)
        for network in NETWORKS
        for fraction in params.fractions
        for arm in (ARMS if fraction == 1 else CURVE)
        if with_synthetic or not ARMS[arm].synthetic
        for number in range(params.num_seeds)
    ]
    return ratio, score_runs(runs, sets, SCORED, **how)


def _linear_sets(
    parts: Parts,
    features: Mapping[str, Features],
    extractor: CachedFeatures,
    recipe: Recipe,
    *,
    seed: int,
) -> Sets:
    """What the linear classifier trains on: training images also classically augmented, once."""
    augment = ClassicalAugmentation(
        recipe.symmetries, recipe.classical, seed=derive_seed(seed, "evaluate", "views")
    )
    views = {name: [own] for name, own in features.items()}
    for name in ("train", "synthetic"):
        if len(parts[name].rows):
            views[name].append(extractor(augment(parts[name].data.images)))
    inputs = standardised_views(views)
    return {name: replace(part.data, images=inputs[name]) for name, part in parts.items()}


def _learned_features(sets: Sets, recipe: Recipe, *, seed: int) -> tuple[TrainedFeatures, float]:
    """A feature space that knows the real classes, and the seconds that its classifier took."""
    began = time.thread_time()
    own_seed = derive_seed(seed, "evaluate", "features")
    model = train_arm(Run(MAIN, "B", 0, ratio=0), sets, recipe=recipe, seed=own_seed)
    assert isinstance(model, Classifier)
    return TrainedFeatures(model), time.thread_time() - began
