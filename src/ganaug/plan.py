"""What a run will cost, before it starts: minutes, memory and disk of each stage on this machine.

`prepare` has run: it takes seconds, and says how many images there are. `probe.py` says how fast
this machine is; `estimate` multiplies. No stage imports this file, so a change of it runs nothing
again.
"""

from collections.abc import Mapping
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any

import torch
from psutil import getloadavg

from ganaug.config import EvaluateParams, Params, PrepareParams
from ganaug.curating.filter import BATCH_SIZE
from ganaug.curating.targets import synthetic_targets
from ganaug.downstream.choice import FEWEST, ROUNDS, TEACHING
from ganaug.downstream.linear import FEATURE_RESOLUTION, num_views
from ganaug.downstream.recipes import are_lopsided, with_synthetic, without_synthetic
from ganaug.downstream.runs import DRAWN, NETWORKS
from ganaug.errors import DatasetError
from ganaug.fileio import read_json
from ganaug.gan.checkpoints import KEPT
from ganaug.gan.trainer import EVALUATION_SAMPLES
from ganaug.preparing.prepared import DOCUMENT, Prepared, read_prepared
from ganaug.probe import Speeds
from ganaug.quality.features import RESOLUTION
from ganaug.quality.parts import MOST_IMAGES
from ganaug.sources.archive import LAYOUTS
from ganaug.verdict.comparison import verdict_recipes

LONG_MIN = 30.0  # a longer run gets advice
DRAWS = 2.0  # for each synthetic image that is wanted: the filter refuses some
SCORED = 1 / 3  # of the time to train on an image, to ask a classifier about it
START_SEC = 3.0  # of a worker, before its first task
SMALLER = (FEATURE_RESOLUTION / RESOLUTION) ** 2  # of the time of features, for a linear classifier
REST_SEC, REST_MIB = 3.0, 400.0  # of merge and of report, which copy and show
MIB = 2**20
FEATURES_MIB = 4 * 1280 / MIB  # of an image's ImageNet features
# bf16 of tensor cores, without sparsity, in TFLOP/s, from the makers' data sheets.
GPUS = {"T4": 65.0, "A100": 312.0, "H100": 989.0, "H200": 989.0}
UTILISATION = 0.3  # of them, that convolutions of this kind reach


@dataclass(frozen=True)
class Cost:
    """Expected cost of a stage; memory is that of its largest process."""

    minutes: float
    memory_mib: float
    disk_mib: float


def read_real(folder: Path, params: PrepareParams) -> Prepared:
    """What `prepare` made last; how it thinned or split the images is not compared with params.

    Raises:
        DatasetError: it has not run, or with another source, resolution or number of channels.
    """
    of_files = {*LAYOUTS, "archive", "audio"}
    own = params.files.name if params.source in of_files else params.source
    if (folder / DOCUMENT).is_file():
        real = read_prepared(folder)
        found = (real.source["name"], real.resolution, real.channels)
        if found == (own, params.resolution, params.channels):
            return real
    size = f"{params.resolution} px and {params.channels} channels"
    raise DatasetError(f"{folder}: not {own} at {size}; run `dvc repro prepare`, some seconds")


def num_classifiers(net: str, e: EvaluateParams, *, lopsided: bool) -> tuple[int, int]:
    """How many classifiers of a network choose the recipes on val, and how many decide on test."""
    first, second = map(len, ROUNDS)

    def halving(candidates: int) -> int:
        reached = min(candidates, max(FEWEST, candidates // 2))
        return candidates * first + reached * second

    in_steps = NETWORKS[net].in_steps
    taught = TEACHING in e.networks
    without = without_synthetic(mixes=in_steps)
    base = without[-1]
    how = {"lopsided": lopsided, "in_steps": in_steps, "soft_labels": taught}
    mixed = with_synthetic(base, e.shares, **how)
    soft = first + second if taught and in_steps else 0
    choice = halving(len(without)) + soft + halving(len(mixed))
    asked = verdict_recipes(base, mixed[0], e.num_repetitions, arms_with=True)
    return choice, sum(asked.values())


def estimate(p: Params, real: Prepared, speeds: Speeds) -> dict[str, Cost]:
    """What each stage after `prepare` costs, by name; last "total".

    DVC's cache keeps a copy of what it tracks; the shards that merge takes over are there already.
    """
    num = _num_images(p, real)
    wanted, every = num["synthetic"], sum(num.values())
    png = sum(facts["bytes"] for facts in real.files.values()) / (every - wanted) / MIB
    pixels = p.prepare.resolution**2 * p.prepare.channels / MIB
    measured = {part: min(number, MOST_IMAGES) for part, number in num.items()}
    views = sum(num_views(part, number) * number for part, number in measured.items())
    views *= "linear" in p.evaluate.networks

    shown = speeds.shown / (p.train.devices * p.train.num_nodes)
    evaluation = EVALUATION_SAMPLES * (speeds.draw + speeds.features)
    train = 1000 * p.train.kimg * shown + p.train.num_evaluations * evaluation
    # Two classifiers learn side by side; both are asked for probabilities and for features.
    learned = 2 * p.generate.filter_steps * BATCH_SIZE / min(2, speeds.workers)
    asked = 4 * SCORED * DRAWS * wanted / speeds.workers
    start = START_SEC * (speeds.workers > 1)
    generate = start + (learned + asked) * speeds.fit["cnn"] + DRAWS * wanted * speeds.draw
    e, lopsided = p.evaluate, are_lopsided(real.counts["train"].values())
    classifiers = sum(
        sum(num_classifiers(net, e, lopsided=lopsided)) * _classifier_sec(net, e, measured, speeds)
        for net in e.networks
    )
    looked_at = sum(measured.values())
    looked_at_sec = (looked_at + SMALLER * views) * speeds.features
    evaluate = start + classifiers / speeds.workers + looked_at_sec

    alone, with_gan = speeds.mib["evaluate"], speeds.mib["train"]
    kept = looked_at * (pixels + FEATURES_MIB) + views * FEATURES_MIB
    held = (1 + ("linear" in e.networks)) * looked_at * FEATURES_MIB
    state = speeds.state_bytes / MIB
    decoded = (num["train"] + num["val"]) * pixels
    costs = {
        "train": Cost(train / 60, with_gan + num["train"] * pixels, (KEPT + 2) * state),
        "generate": Cost(generate / 60, alone, 3 * wanted * png + decoded),
        "evaluate": Cost(evaluate / 60, alone + held, kept),
        "merge": Cost(REST_SEC / 60, REST_MIB + every * png, every * png),
        "report": Cost(REST_SEC / 60, REST_MIB, 0.0),
    }
    minutes, memory, disk = zip(*map(astuple, costs.values()), strict=True)
    return costs | {"total": Cost(sum(minutes), max(memory), sum(disk))}


def _num_images(p: Params, real: Prepared) -> dict[str, int]:
    """By split, and the synthetic ones that are wanted."""
    strategy, amount = p.generate.strategy, p.generate.amount
    wanted = synthetic_targets(real.counts["train"], strategy=strategy, amount=amount)
    counts = real.counts | {"synthetic": wanted}
    return {part: sum(by_class.values()) for part, by_class in counts.items()}


def _classifier_sec(net: str, e: EvaluateParams, num: Mapping[str, int], speeds: Speeds) -> float:
    """Of a core, for a classifier of a network."""
    if NETWORKS[net].in_steps:
        steps = NETWORKS[net].num_steps or e.num_steps
        images = steps * e.batch_size + SCORED * (num["val"] + num["test"])
    else:  # half of the fits have synthetic images
        real, synthetic = (num_views(p, num[p]) * num[p] for p in ("train", "synthetic"))
        images = DRAWN * (real + synthetic / 2)
    return images * speeds.fit[net]


def describe(p: Params, real: Prepared, speeds: Speeds, *, results: Path, gpu: str) -> str:
    """A table with a row a stage, and some sentences."""
    costs = estimate(p, real, speeds)
    row = "{:<9}{:>10}{:>12}{:>12}   {}".format
    lines = [row("stage", "expected", "memory", "disk", "last time")]
    lines.append(row("prepare", "-", "-", "-", _last(results / "prepare")))
    for name, cost in costs.items():
        sizes = (f"{mib:,.0f} MiB" for mib in (cost.memory_mib, cost.disk_mib))
        lines.append(row(name, _time(cost.minutes), *sizes, _last(results / name)))
    lines.append(
        f"For {sum(facts['rows'] for facts in real.files.values()):,} images in {real.folder}, "
        f"{torch.get_num_threads()} threads and, in evaluate, {speeds.workers} processes. On an "
        "idle machine, real times lie within a factor of about 1.5; its load now is "
        f"{getloadavg()[0]:.1f}. What is done already is not run again."
    )
    if p.train.device == "cpu" or not torch.cuda.is_available():
        least = 1000 * p.train.kimg * speeds.flop / (GPUS[gpu] * 1e12 * UTILISATION)
        lines.append(
            f"With an NVIDIA {gpu}, train would take at least {least:,.1f} s: "
            f"{speeds.flop / 1e9:.1f} GFLOP an image, without penalties, at {UTILISATION:.0%} of "
            f"{GPUS[gpu]:.0f} TFLOP/s. Small batches take longer, for operations wait for Python. "
            "The other stages stay on the CPU."
        )
    if costs["total"].minutes > LONG_MIN:
        found = sorted(savings(p, real, speeds).items(), key=lambda item: -item[1])[:2]
        cuts = "; ".join(f"{change} saves {minutes:.0f} min" for change, minutes in found)
        lines.append(f"If that is too long: {cuts}.")
    return "\n".join(lines)


def _last(results: Path) -> str:
    """What a stage took the last time."""
    if not (results / "budget.json").is_file():
        return "-"
    actual = read_json(results / "budget.json")
    return f"{_time(actual['seconds'] / 60)}, {actual['peak_memory_mib']:,} MiB"


def _time(minutes: float) -> str:
    return f"{minutes:.1f} min" if minutes >= 1 else f"{60 * minutes:.0f} s"


def savings(p: Params, real: Prepared, speeds: Speeds) -> dict[str, float]:
    """Minutes that a lower value of one param saves, by that change in words."""
    e = p.evaluate
    lower: list[tuple[str, str, Any]] = [
        ("train", "kimg", p.train.kimg / 2),
        ("generate", "amount", p.generate.amount / 2),
        ("evaluate", "num_repetitions", max(2, e.num_repetitions // 2)),
    ]
    without_one = [[net for net in e.networks if net != one] for one in e.networks]
    lower += [("evaluate", "networks", rest) for rest in without_one if rest]
    saved, before = {}, estimate(p, real, speeds)["total"].minutes
    for section, key, value in lower:
        changed = getattr(p, section).model_copy(update={key: value})
        after = estimate(p.model_copy(update={section: changed}), real, speeds)["total"].minutes
        saved[f"{section}.{key}: {value}"] = before - after
    return saved
