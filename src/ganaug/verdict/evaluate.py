"""The stage `evaluate`: everything that is measured about the synthetic images, and the verdict."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from ganaug.config import EvaluateParams
from ganaug.downstream.classifier import Classifier, TrainedFeatures
from ganaug.downstream.linear import FEATURE_RESOLUTION, view_sets
from ganaug.downstream.recipes import TEACHER
from ganaug.downstream.runs import Run, Sets, fit_network
from ganaug.downstream.setting import Setting
from ganaug.fileio import read_json, scratch
from ganaug.parallel import MapTasks, one_thread
from ganaug.preparing.prepared import Prepared
from ganaug.quality.feature_cache import FeatureCache
from ganaug.quality.features import Features, ImageNetFeatures
from ganaug.quality.leaks import check_no_leak, check_no_near_duplicates
from ganaug.quality.measures import describe_pairs, extract, measure_copying, measure_distances
from ganaug.quality.parts import Parts, origins, read_parts, unfilled_classes
from ganaug.records import SPLITS
from ganaug.rng import derive_seed
from ganaug.thumbnails import NAME as THUMBNAILS
from ganaug.thumbnails import thumbnails
from ganaug.verdict.comparison import network_facts, network_metrics, train_all
from ganaug.verdict.rule import Evidence, Margins, decide

IMAGENET, LEARNED = "distances", "distances_trained"  # sections of metrics.json
DIGITS = 6  # significant ones that are written, so that a rerun gives the same bytes


@dataclass(frozen=True)
class Evaluation:
    """What the stage writes, as plain values."""

    metrics: dict[str, Any]
    verdict: dict[str, Any]
    runs: pd.DataFrame  # a row per trained classifier and split
    predictions: pd.DataFrame  # a row per classifier trained for the verdict and test image
    pairs: list[dict[str, Any]]  # synthetic images nearest to a training image


def evaluate(
    prepared: Prepared,
    synthetic: Path,
    *,
    params: EvaluateParams,
    near_duplicate_distance: float,
    seed: int,
    cache: Path,
    map_tasks: MapTasks = map,
) -> Evaluation:
    """Measure the synthetic images against real ones and decide whether to ship them.

    Args:
        prepared: the real dataset.
        synthetic: folder of `generate`: synthetic.json, and shards unless no image was accepted.
        params: section `evaluate`.
        near_duplicate_distance: of section `prepare`: nearer images must lie in one split.
        seed: every draw derives from it.
        cache: folder of features that outlive the run; what this run does not need is deleted.
        map_tasks: as `map`, which works in this process; may give the results in any order.
    Raises:
        DatasetError: a shard is missing, classes differ, or a test image has leaked.
        WorkerError: see `map_unordered`.
    """
    classes, generated = prepared.classes, read_json(synthetic / "synthetic.json")
    setting = classifier_setting(prepared, params, seed=derive_seed(seed, "evaluate"))
    with scratch() as folder:
        parts = read_parts(prepared, synthetic, scratch=folder)
        images = {name: part.data for name, part in parts.items()}
        small = _check(parts, prepared.symmetries, near_duplicate_distance)
        imagenet, kept = ImageNetFeatures(), FeatureCache(cache, map_tasks)
        spaces = {"thumbnails": small, "imagenet": extract(partial(kept, imagenet), parts)}
        sets = _sets(params.networks, images, setting, kept)
        kept.drop_unused()
        trained = train_all(
            sets,
            parts["test"].rows,
            shares=params.shares,
            num_repetitions=params.num_repetitions,
            setting=setting,
            map_tasks=map_tasks,
        )
        declared = origins(parts["synthetic"].rows, parts["train"].rows)
        memorisation = measure_copying(spaces, parts, declared=declared, seed=seed)
        pairs = describe_pairs(small, parts, declared=declared)
        measure = partial(_measure_distances, parts=parts, classes=classes, seed=seed)
        learned = _learned_features(images, setting)
        distances = {
            IMAGENET: measure(imagenet, spaces["imagenet"]),
            LEARNED: measure(learned, extract(learned, parts)),
        }
    networks = network_facts(trained, classes, confidence=params.confidence, seed=seed)
    rows = {name: part.all_rows for name, part in parts.items()}
    evidence = Evidence(
        networks=networks,
        memorisation=memorisation,
        precision=_precision(distances[IMAGENET], classes),
        empty=unfilled_classes(generated),
        num_synthetic=len(rows["synthetic"]),
        num_with_parent=int(rows["synthetic"]["parent_id"].notna().sum()),
        num_translated=int((origins(rows["synthetic"], rows["train"]) >= 0).sum()),
        sampled={
            name: (len(part.rows), len(part.all_rows))
            for name, part in parts.items()
            if len(part.rows) < len(part.all_rows)
        },
    )
    verdict = {**_verdict(evidence, params), "judged": _judged_files(prepared, generated)}
    metrics = {
        "networks": network_metrics(trained, networks, classes),
        **distances,
        "memorisation": memorisation | {"thumbnails_space": THUMBNAILS},
        "classical_augmentation": setting.augmentation(0).to_dict(),
    }
    return Evaluation(
        rounded(metrics), rounded(verdict), trained.runs, trained.predictions, rounded(pairs)
    )


def _verdict(evidence: Evidence, params: EvaluateParams) -> dict[str, Any]:
    """verdict.json, but for what was judged."""
    margins = Margins(params.harm_margin_pp, params.recall_margin_pp, params.confidence)
    decided = decide(evidence, margins)
    return {
        **decided,
        "networks": evidence.networks,
        "num_repetitions": params.num_repetitions,
        "num_with_parent": evidence.num_with_parent,
        "num_translated": evidence.num_translated,
    }


def classifier_setting(prepared: Prepared, params: EvaluateParams, *, seed: int) -> Setting:
    """What all classifiers of the stage have in common; `seed` is theirs alone."""
    return Setting(
        num_steps=params.num_steps,
        batch_size=params.batch_size,
        lr=params.lr,
        class_names=prepared.classes,
        symmetries=prepared.symmetries,
        classical=params.classical,
        seed=seed,
        spectrogram_side=prepared.spectrogram_side,
    )


def _check(parts: Parts, symmetries: Sequence[str], distance: float) -> dict[str, Features]:
    """Thumbnails of each part, once no test image is found where it must not be.

    Raises:
        DatasetError: a test image has leaked.
    """
    every = {split: parts[split].all_rows for split in SPLITS}
    check_no_leak(every, parts["synthetic"].all_rows)
    real = {split: parts[split].rows for split in SPLITS}
    small = extract(thumbnails, parts)
    check_no_near_duplicates(real, small, symmetries=symmetries, distance=distance)
    return small


def _sets(
    networks: Sequence[str], images: Sets, setting: Setting, kept: FeatureCache
) -> dict[str, Sets]:
    """What each network trains on: images, or views of their features."""
    sets = dict.fromkeys(networks, images)
    if "linear" in networks:
        augment = setting.augmentation(derive_seed(setting.seed, "views"))
        extractor = partial(kept, ImageNetFeatures(resolution=FEATURE_RESOLUTION))
        sets["linear"] = view_sets(images, extractor, augment)
    return sets


@one_thread()
def _learned_features(images: Sets, setting: Setting) -> TrainedFeatures:
    """A space that a CNN learned on the real train split."""
    model = fit_network(Run("cnn", TEACHER, 0), images, setting)
    assert isinstance(model, Classifier)
    return TrainedFeatures(model)


def _measure_distances(
    extractor: ImageNetFeatures | TrainedFeatures,
    features: Mapping[str, Features],
    *,
    parts: Parts,
    classes: Sequence[str],
    seed: int,
) -> dict[str, Any]:
    """Distances in a space, beside what it is."""
    facts = {"name": extractor.name, "weights_sha256": extractor.weights_sha256}
    return {"extractor": facts} | measure_distances(features, parts, classes, seed=seed)


def _precision(
    distances: Mapping[str, Any], classes: Sequence[str]
) -> dict[str, tuple[float | None, float | None]]:
    """By class, of the synthetic images and of other real ones."""
    synthetic, floor = (distances[side]["classes"] for side in ("synthetic", "floor"))
    return {name: (synthetic[name]["precision"], floor[name]["precision"]) for name in classes}


def _judged_files(prepared: Prepared, generated: Mapping[str, Any]) -> dict[str, Any]:
    """Which generator and which shards the verdict is about: merge takes no others."""
    files = {**prepared.files, **generated["files"]}
    hashes = {name: facts["sha256"] for name, facts in sorted(files.items())}
    return {"generator_id": generated["generator_id"], "files": hashes}


def rounded(content: Any) -> Any:
    """Plain values with every float cut to `DIGITS` significant digits."""
    if isinstance(content, Mapping):
        return {str(key): rounded(value) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return [rounded(value) for value in content]
    if isinstance(content, float):
        return float(f"{content:.{DIGITS}g}")
    return content
