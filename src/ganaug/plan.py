"""What a run will cost, before it starts: minutes, memory and disk of each stage on this machine.

`count_images` says on how many images, `probe.py` how fast this machine is; `estimate` multiplies.
No stage imports this file, so a change of it runs nothing again.
"""

import math
import tempfile
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import psutil
import torch

from ganaug.config import Params, PrepareParams
from ganaug.curating.targets import synthetic_targets
from ganaug.downstream.choice import FEWEST, ROUNDS, TEACHING
from ganaug.downstream.linear import FEATURE_RESOLUTION, VIEWS
from ganaug.downstream.recipes import ARMS, PLAIN, with_synthetic, without_synthetic
from ganaug.downstream.runs import DRAWN, NETWORKS
from ganaug.fileio import read_json
from ganaug.gan.architecture import RESOLUTIONS
from ganaug.gan.checkpoints import KEPT
from ganaug.gan.trainer import EVALUATION_SAMPLES
from ganaug.preparing.decode import Form
from ganaug.preparing.prepared import DOCUMENT, read_prepared
from ganaug.preparing.reading import read_candidates
from ganaug.probe import Speeds, timed
from ganaug.quality.features import RESOLUTION
from ganaug.records import SPLITS
from ganaug.sources.registry import load_source
from ganaug.verdict.evidence import ARM_REPETITIONS

STAGES = ("prepare", "train", "generate", "evaluate", "merge", "report")
LONG_MIN = 30.0  # a longer run gets advice
LOW, HIGH = 0.75, 1.4  # what load and data do to a time, as factors
LOOKED_AT = 64  # images that are decoded
ASSUMED = 500  # images of each of 4 classes, of a source that only the run can read
PNG_SHARE = 0.6  # of the raw pixels; measured on solar cells
HALF_SIDE = 0.55  # time of a training step at half of the resolution; r3, 16 against 64 px
FEATURE_BYTES = 4 * 1280  # of an image's ImageNet features
ROW_SEC = 2e-4  # of a stage that copies or shows an image
MERGE_MIB = 160  # of the packages that only this stage needs
MIB = 2**20
# bf16 of tensor cores, without sparsity, in TFLOP/s, from the makers' data sheets.
GPUS = {"T4": 65.0, "A100": 312.0, "H100": 989.0, "H200": 989.0}
UTILISATION = 0.3  # of them, that convolutions of this kind reach
KERNEL_SEC = 8e-6  # to start an operation from Python; batches this small mostly wait for it


@dataclass(frozen=True)
class Images:
    """How many real images there are.

    Args:
        counts: by split and class.
        where: where the numbers come from, for people.
        png_bytes: stored size of an image.
        read_sec: to decode one, on one core.
    """

    counts: Mapping[str, Mapping[str, int]]
    where: str
    png_bytes: float
    read_sec: float

    def of(self, split: str) -> int:
        """Images of a split."""
        return sum(self.counts[split].values())

    @property
    def total(self) -> int:
        """Images of all splits."""
        return sum(map(self.of, SPLITS))


@dataclass(frozen=True)
class Cost:
    """Expected cost of a stage: minutes with their range, MiB of memory, bytes of disk."""

    minutes: float
    low: float
    high: float
    memory_mib: float
    disk_bytes: float


def count_images(params: PrepareParams, prepared: Path) -> Images:
    """From data/prepared if it is of the same source; else from the source, without decoding all.

    Raises:
        SourceError, DatasetError: there are no such images.
    """
    packaged = params.source in ("elpv", "digits")
    raw = params.resolution**2 * params.channels
    if (prepared / DOCUMENT).is_file():
        found = read_prepared(prepared)
        if found.source["name"] == (params.source if packaged else params.files.name):
            size = sum(facts["bytes"] for facts in found.files.values())
            rows = sum(facts["rows"] for facts in found.files.values())
            same = (found.resolution, found.channels) == (params.resolution, params.channels)
            png = size / rows if same else raw * PNG_SHARE
            return Images(found.counts, f"{rows:,} images in {prepared}", png, 1e-3)
    if not packaged and (params.source == "archive" or "://" in params.files.path):
        counts = {f"class {i}": {"": ASSUMED} for i in range(4)}
        where, seconds = f"assumed: 4 classes of {ASSUMED} images; nothing is unpacked yet", 1e-3
    else:
        source, counts = load_source(params), {}
        for image in source.images:
            counts.setdefault(image.class_name, Counter())[image.split or ""] += 1
        form = Form(params.resolution, params.channels, params.max_pixels)
        first = islice(load_source(params).images, LOOKED_AT)
        with tempfile.TemporaryDirectory() as scratch:
            read = partial(read_candidates, first, form, scratch=Path(scratch), num_workers=1)
            seconds = timed(read) / LOOKED_AT
        where = f"{sum(sum(c.values()) for c in counts.values()):,} images in {source.facts.name}"
    return Images(_split(counts, params), where, raw * PNG_SHARE, seconds)


def _split(found: Mapping[str, Mapping[str, int]], params: PrepareParams) -> dict[str, Any]:
    """Images by split and class; those without a split are divided as `prepare` would."""
    counts: dict[str, dict[str, int]] = {split: {} for split in SPLITS}
    held = {"test": params.test_fraction, "val": params.val_fraction}
    for name, of in found.items():
        drawn = {split: round(of.get("", 0) * share) for split, share in held.items()}
        drawn["train"] = of.get("", 0) - sum(drawn.values())
        own = {split: of.get(split, 0) + drawn[split] for split in SPLITS}
        own["train"] = math.ceil(own["train"] * params.train_fraction)
        own["train"] = min(own["train"], params.keep_train.get(name, own["train"]))
        for split in SPLITS:
            counts[split][name] = own[split]
    return counts


def num_classifiers(
    net: str, networks: tuple[str, ...], shares: tuple[float, ...], num_repetitions: int
) -> tuple[int, int]:
    """How many classifiers of a network choose the recipes on val, and how many decide on test."""
    first, second = map(len, ROUNDS)

    def halving(candidates: int) -> int:
        return candidates * first + max(FEWEST, candidates // 2) * second

    in_steps = NETWORKS[net].in_steps
    taught = TEACHING in networks
    plain = without_synthetic(mixes=in_steps)
    base = plain[-1]
    mixed = with_synthetic(base, shares, in_steps=in_steps, soft_labels=taught)
    soft = first + second if taught and in_steps else 0
    choice = halving(len(plain)) + soft + halving(len(mixed))
    deciding = dict.fromkeys((PLAIN, base, mixed[0]), num_repetitions)
    arms = dict.fromkeys(ARMS.values(), min(num_repetitions, ARM_REPETITIONS))
    return choice, sum((arms | deciding).values())


def estimate(p: Params, images: Images, speeds: Speeds) -> dict[str, Cost]:
    """What each stage costs, by name."""
    memory, disk = _memory_mib(p, images, speeds), _disk_bytes(p, images, speeds)
    return {
        name: Cost(usual / 60, LOW * low / 60, HIGH * high / 60, memory[name], disk[name])
        for name, (low, usual, high) in _seconds(p, images, speeds).items()
    }


def _seconds(p: Params, images: Images, speeds: Speeds) -> dict[str, tuple[float, float, float]]:
    """Of each stage: the least, the expected and the most, as far as counts are unknown."""
    made, every = _num_made(p, images), images.total
    of_side = speeds.features
    step = speeds.step / (p.train.devices * p.train.num_nodes)
    evaluation = EVALUATION_SAMPLES * (speeds.draw + of_side[RESOLUTION])
    train = speeds.setup + images.of("val") * of_side[RESOLUTION]
    train += _num_steps(p) * step + p.train.num_evaluations * evaluation
    filters = 2 * p.generate.filter_steps * speeds.filter_step
    most = p.generate.max_draws_per_image  # the filter may refuse none, or most
    views = _num_views(p, images)
    classifiers = sum(_classifier_sec(net, p, images, speeds) for net in p.evaluate.networks)
    evaluate = classifiers / speeds.workers + p.evaluate.num_steps * speeds.fit["cnn"]
    evaluate += (every + made) * of_side[RESOLUTION]
    evaluate += views * of_side.get(FEATURE_RESOLUTION, 0.0)
    evaluate += max(0, views - every - made) * speeds.view
    usual = {
        "prepare": 1.5 + every * images.read_sec / speeds.workers,
        "train": train,
        "generate": filters + math.sqrt(most) * made * speeds.draw,
        "evaluate": evaluate,
        "merge": 1.0 + (every + made) * ROW_SEC,
        "report": 2.0 + every * ROW_SEC,
    }
    ends = {name: (sec, sec, sec) for name, sec in usual.items()}
    draws = [filters + times * made * speeds.draw for times in (1, math.sqrt(most), most)]
    return ends | {"generate": (draws[0], draws[1], draws[2])}


def _memory_mib(p: Params, images: Images, speeds: Speeds) -> dict[str, float]:
    """Of the largest process of each stage."""
    mib, png, made = speeds.mib, images.png_bytes / MIB, _num_made(p, images)
    light = mib["light"] + images.total * png
    return {
        "prepare": light,
        "train": mib["train"] + images.of("train") * _num_pixels(p) / MIB,
        "generate": mib["generate"] + made * png,
        "evaluate": mib["evaluate"] + 2 * _num_views(p, images) * FEATURE_BYTES / MIB,
        "merge": light + MERGE_MIB + made * png,
        "report": light,
    }


def _disk_bytes(p: Params, images: Images, speeds: Speeds) -> dict[str, float]:
    """Of what each stage leaves, and of the training states while it trains.

    DVC's cache keeps a copy of what it tracks; the shards that merge takes over are there already.
    """
    png, made, every = images.png_bytes, _num_made(p, images), images.total
    return {
        "prepare": 2 * every * png,
        "train": 2 * speeds.generator_bytes + (KEPT + 1) * speeds.state_bytes,
        "generate": 2 * made * png,
        "evaluate": (every + made) * (FEATURE_BYTES + _num_pixels(p))
        + _num_views(p, images) * FEATURE_BYTES,
        "merge": (every + made) * png,
        "report": 4 * MIB,
    }


def _num_pixels(p: Params) -> int:
    return p.prepare.resolution**2 * p.prepare.channels


def _num_made(p: Params, images: Images) -> int:
    """Synthetic images that are wanted."""
    real, how = images.counts["train"], p.generate
    return sum(synthetic_targets(real, strategy=how.strategy, amount=how.amount).values())


def _num_views(p: Params, images: Images) -> int:
    """Images of which the linear classifier takes features."""
    if "linear" not in p.evaluate.networks:
        return 0
    train, made = images.of("train"), _num_made(p, images)
    return VIEWS["train"] * train + VIEWS["synthetic"] * made + images.total - train


def _num_steps(p: Params) -> int:
    return math.ceil(p.train.kimg * 1000 / p.train.batch_size)


def _classifier_sec(net: str, p: Params, images: Images, speeds: Speeds) -> float:
    """Of a core, for all classifiers of a network."""
    e = p.evaluate
    choice, verdict = num_classifiers(net, e.networks, e.shares, e.num_repetitions)
    if not NETWORKS[net].in_steps:
        made = _num_made(p, images)  # half of the fits have these, in two views
        rows = DRAWN * (VIEWS["train"] * images.of("train") + made)
        return (choice + verdict) * rows * speeds.fit[net]
    fit = (NETWORKS[net].num_steps or e.num_steps) * speeds.fit[net]
    scored = (choice + verdict) * images.of("val") + verdict * images.of("test")
    return (choice + verdict) * fit + scored * speeds.score[net]


def describe(p: Params, images: Images, speeds: Speeds, *, results: Path, gpu: str) -> str:
    """A table with a row a stage, and some sentences."""
    costs = estimate(p, images, speeds)
    lines = [("stage", "expected", "memory", "disk", "last time")]
    spent = 0.0
    for name, cost in costs.items():
        file, last = results / name / "budget.json", "-"
        if file.is_file():
            actual = read_json(file)
            spent += actual["seconds"] / 60
            last = f"{_time(actual['seconds'] / 60)}, {actual['peak_memory_mib']:,} MiB"
        lines.append((name, *_words(cost), last))
    parts = costs.values()
    total = Cost(
        sum(c.minutes for c in parts),
        sum(c.low for c in parts),
        sum(c.high for c in parts),
        max(c.memory_mib for c in parts),
        sum(c.disk_bytes for c in parts),
    )
    lines.append(("total", *_words(total), _time(spent) if spent else "-"))
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    table = [
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    ]
    return "\n".join([*table, *_sentences(p, images, speeds, total, gpu=gpu)])


def _words(cost: Cost) -> tuple[str, str, str]:
    parts = (_time(minutes) for minutes in (cost.minutes, cost.low, cost.high))
    return (
        "{} ({} to {})".format(*parts),
        f"{cost.memory_mib:,.0f} MiB",
        f"{cost.disk_bytes / MIB:,.0f} MiB",
    )


def _time(minutes: float) -> str:
    return f"{minutes:.1f} min" if minutes >= 1 else f"{60 * minutes:.0f} s"


def _sentences(p: Params, images: Images, speeds: Speeds, total: Cost, *, gpu: str) -> list[str]:
    threads, load = torch.get_num_threads(), psutil.getloadavg()[0]
    lines = [
        f"For {images.where}; {threads} threads, and {speeds.workers} processes of up to "
        f"{speeds.mib['worker']:,.0f} MiB each in evaluate. What is done already is not run again."
    ]
    if load > speeds.workers / 2:
        lines.append(
            f"The machine is busy (load {load:.1f}): times are meant for an idle one, but with "
            "more than one thread they come out too long."
        )
    if p.train.device == "cpu" or not torch.cuda.is_available():
        busy = speeds.flop / (GPUS[gpu] * 1e12 * UTILISATION)
        here, there = speeds.step, max(busy, speeds.kernels * KERNEL_SEC)
        here, there = (_num_steps(p) * seconds / 60 for seconds in (here, there))
        lines.append(
            f"With an NVIDIA {gpu}, train would take about {_time(there)} in place of "
            f"{_time(here)}, an estimate: {speeds.flop / 1e9:.1f} GFLOP and "
            f"{speeds.kernels:,.0f} operations a step, at {UTILISATION:.0%} of {GPUS[gpu]:.0f} "
            f"TFLOP/s and at least {KERNEL_SEC * 1e6:.0f} us for each operation. The other stages "
            "stay on the CPU."
        )
    if total.minutes > LONG_MIN:
        found = sorted(savings(p, images, speeds).items(), key=lambda item: -item[1])[:2]
        cuts = "; ".join(f"{change} saves {minutes:.0f} min" for change, minutes in found)
        lines.append(f"If that is too long: {cuts}.")
    return lines


def savings(p: Params, images: Images, speeds: Speeds) -> dict[str, float]:
    """Minutes that a lower value of one param saves, by that change in words."""
    e = p.evaluate
    cheaper: dict[str, dict[str, Any]] = {
        f"train.kimg: {p.train.kimg / 2:g}": {"train": {"kimg": p.train.kimg / 2}},
        f"generate.amount: {p.generate.amount / 2:g}": {
            "generate": {"amount": p.generate.amount / 2}
        },
    }
    if (fewer := max(2, e.num_repetitions // 2)) < e.num_repetitions:
        cheaper[f"evaluate.num_repetitions: {fewer}"] = {"evaluate": {"num_repetitions": fewer}}
    if len(e.networks) > 1:
        for net in e.networks:
            rest = tuple(other for other in e.networks if other != net)
            cheaper[f"evaluate.networks without {net}"] = {"evaluate": {"networks": rest}}

    def minutes(params: Params, measured: Speeds) -> float:
        return sum(cost.minutes for cost in estimate(params, images, measured).values())

    before = minutes(p, speeds)
    saved = {}
    for words, own in cheaper.items():
        sections = {name: getattr(p, name).model_copy(update=own[name]) for name in own}
        saved[words] = before - minutes(p.model_copy(update=sections), speeds)
    if (half := p.prepare.resolution // 2) >= RESOLUTIONS[0]:
        faster = replace(speeds, step=HALF_SIDE * speeds.step)
        saved[f"prepare.resolution: {half}"] = before - minutes(p, faster)
    return saved
