"""What each section of the report says: one small function a section, from the files of the run.

A missing fact is an error here, never a gap in the report.
"""

import platform
import subprocess
from collections.abc import Mapping, Sequence
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pandas as pd

from ganaug.evaluation.verdict import WORDS
from ganaug.preparing.prepared import Prepared
from ganaug.publishing import wording
from ganaug.publishing.wording import COMPARISONS, points

Facts = list[tuple[str, str]]
Rows = list[list[str]]  # of a table, the first cell names the row
Json = Mapping[str, Any]

HEADLINES = {"ship": "Ship", "ship_real_only": "Ship the real images only"}
ARMS = {
    "A": "real images",
    "B": "real, classical augmentation",
    "B'": "real, classical augmentation, classes drawn equally often",
    "C": "real and synthetic",
    "D": "real and synthetic, classical augmentation",
    "E": "synthetic only, classical augmentation",
}
PACKAGES = ("ganaug", "torch", "numpy", "pandas", "pyarrow", "scikit-learn", "albumentations")
CODE = ("*.py", "*.yaml", "constraints.txt")  # what decides a result, as Git's pathspecs
PROVENANCE = "provenance.json"  # which commit's code ran: the report itself must not depend on it
MISSING = "\N{EN DASH}"


def main_facts(verdict: Json, made: Json) -> Facts:
    """The three figures that matter."""
    first = wording.uplift_rows(verdict)[0]
    return [
        ("Change of macro-F1 over classical augmentation", f"{points(first['mean_pp'])} pp"),
        ("Interval", f"{points(first['low_pp'])} to {points(first['high_pp'])} pp"),
        ("Synthetic images kept", f"{sum(made['accepted'].values()):,}"),
    ]


def uplift_rows(metrics: Json) -> dict[str, Rows]:
    """Rows of the uplift table of each classifier: all comparisons, those that decide first."""
    deltas = (metrics["deltas"], metrics["linear"]["deltas"])
    return {
        words: [
            [f"{arms}: {COMPARISONS[arms]}", *_delta_cells(by_split["test"])]
            for arms, by_split in own.items()
        ]
        for words, own in zip(WORDS.values(), deltas, strict=True)
    }


def arms_rows(metrics: Json) -> Rows:
    """Macro-F1 in percent by arm, of the small CNN and of the linear one."""
    second = metrics["linear"]["arms"]
    return [
        [f"{arm}: {ARMS[arm]}"]
        + [f"{100 * own[key]:.1f}" for own in (facts, second[arm]) for key in ("mean", "std")]
        for arm, facts in metrics["arms"].items()
    ]


def curve_rows(metrics: Json) -> Rows:
    """What the synthetic images add to so many real ones."""
    return [
        [
            f"{point['num_real']:,} real images, {WORDS[network]}",
            *_delta_cells(own["deltas"]["D-B"]),
        ]
        for point in metrics["learning_curve"]
        for network, own in point["networks"].items()
    ]


def classes_rows(prepared: Prepared, made: Json, metrics: Json, verdict: Json) -> Rows:
    """Training images by class, the change of recall, and quality beside its floor."""
    synthetic, floor = (metrics["distances"][part]["classes"] for part in ("synthetic", "floor"))
    return [
        [
            name,
            f"{prepared.counts['train'][name]:,}",
            f"{made['accepted'][name]:,}",
            points(verdict["recall_change_pp"][name]),
            *_beside_floor(synthetic[name], floor[name], ("kid", "coverage")),
        ]
        for name in prepared.classes
    ]


def means_rows(metrics: Json) -> Rows:
    """Quality in both feature spaces: mean of the classes that could be measured, and overall."""
    shown = ("kid", "precision", "recall", "density", "coverage")
    spaces = (metrics[space] for space in ("distances", "distances_trained"))
    return [
        [
            f"{space['extractor']['name']}, {words}",
            *_beside_floor(space["synthetic"][what], space["floor"][what], shown),
        ]
        for space in spaces
        for what, words in (("class_mean", "mean of classes"), ("overall", "overall"))
    ]


def memorisation_rows(metrics: Json) -> Rows:
    """The gate in each feature space, beside the real training images themselves."""
    shown = ("near_copies", "authentic", "closer_to_train")
    keys = [key for name in shown for key in (name, f"{name}_real")]
    return [
        [
            space,
            *(f"{gate[key]:.1%}" for key in keys),
            f"{gate['nearest_ratio']:.2f}",
            *(f"{gate[key]:+.1f}" for key in ("copying_z", "copying_z_real")),
            "passed" if gate["passed"] else "failed",
        ]
        for space, gate in metrics["memorisation"].items()
        if isinstance(gate, Mapping)
    ]


def training_sentence(losses: pd.DataFrame, kid: pd.Series) -> str:
    """The run, and the snapshot that was kept."""
    return (
        f"The GAN saw {losses.index[-1]:,} real images. The generator that was kept has the lowest "
        f"KID on val, {kid.min():.4f} after {kid.idxmin():,} images."
    )


def drawn_images(classes: Sequence[str], made: Json) -> dict[str, dict[str, int]]:
    """{class: {"kept": n, reason: n, ...}}, every class with the same reasons."""
    reasons = list(dict.fromkeys(why for name in classes for why in made["rejected"][name]))
    return {
        name: {
            "kept": made["accepted"][name],
            **{why.replace("_", " "): made["rejected"][name].get(why, 0) for why in reasons},
        }
        for name in classes
    }


def rejects_table(drawn: Mapping[str, Mapping[str, int]], made: Json) -> dict[str, Any]:
    """The same as a table, with what was wanted and drawn."""
    return {
        "heads": ["Class", "wanted", "drawn", *next(iter(drawn.values()))],
        "rows": [
            [
                name,
                *(f"{n:,}" for n in (made["wanted"][name], made["drawn"][name], *facts.values())),
            ]
            for name, facts in drawn.items()
        ],
    }


def code_revision(folder: Path) -> str | None:
    """Git's commit of a working folder, and whether code or params differ; None without Git."""
    git = partial(subprocess.check_output, cwd=folder, text=True, stderr=subprocess.DEVNULL)
    try:
        head = git(["git", "rev-parse", "HEAD"]).strip()
        # Not of all files: the run itself writes results and dvc.lock.
        changed = git(["git", "status", "--porcelain", "--", *CODE])
    except (FileNotFoundError, subprocess.CalledProcessError):
        return None
    return f"{head} + uncommitted changes" if changed else head


def provenance_facts(prepared: Prepared, made: Json, metrics: Json, verdict: Json) -> Facts:
    """Where everything comes from: source, counts, generator, measuring networks, versions."""
    source, read = prepared.source, prepared.num_images
    side, colours = prepared.resolution, "grey" if prepared.channels == 1 else "RGB"
    networks = [metrics[space]["extractor"] for space in ("distances", "distances_trained")]
    # A patch of Python changes no result, so it must not change the report's bytes either.
    python = ".".join(platform.python_version_tuple()[:2])
    return [
        ("Real images", f"{source['name']} {source['version']}, {source['homepage']}"),
        ("Licence", source["license"]),
        ("Citation", source["citation"]),
        (
            "Images",
            ", ".join(f"{number:,} {what.replace('_', ' ')}" for what, number in read.items()),
        ),
        ("Format", f"{side} x {side} px, {colours}"),
        ("Generator, sha256", made["generator_id"]),
        ("Amount of synthetic images", f"{made['strategy']}, {made['amount']:g}"),
        *_ratios(verdict["ratio"]),
        ("Paired seeds", str(verdict["num_seeds"])),
        ("Confidence of the intervals", f"{verdict['rule']['confidence']:g}"),
        *((f"Weights of {net['name']}, sha256", net["weights_sha256"]) for net in networks),
        ("Git revision", f"in {PROVENANCE}, beside this report"),
        ("Python", python),
        *((package, version(package)) for package in PACKAGES),
    ]


def _ratios(choice: Json | None) -> Facts:
    """What val chose from; nothing without synthetic images."""
    if choice is None:
        return []
    scores = (f"{float(ratio):g}: {100 * f1:.1f}" for ratio, f1 in choice["val"].items())
    return [
        ("Synthetic images per real one, measured", f"{choice['measured']:g}"),
        ("Macro-F1 on val by that ratio", ", ".join(scores)),
    ]


def _delta_cells(delta: Json) -> list[str]:
    """Mean, low, high, p, p over both classifiers, seeds."""
    return [
        *(points(delta[key]) for key in ("mean_pp", "low_pp", "high_pp")),
        *(f"{delta[key]:.3f}" for key in ("p_value", "p_holm")),
        str(delta["n"]),
    ]


def _beside_floor(synthetic: Json, floor: Json, names: Sequence[str]) -> list[str]:
    """Each measure of the synthetic images, followed by that of real ones."""
    values = (part[name] for name in names for part in (synthetic, floor))
    return [MISSING if value is None else f"{value:.3f}" for value in values]
