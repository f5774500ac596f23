"""The content of the report: one small function per section, from the files of the run.

A missing value is an error, never a gap in the report.
"""

import platform
import subprocess
from collections.abc import Mapping, Sequence
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pandas as pd

from ganaug.preparing.prepared import Prepared
from ganaug.publishing import wording
from ganaug.publishing.wording import points

Facts = list[tuple[str, str]]
TableRows = list[list[str]]  # the first cell names the row
Json = Mapping[str, Any]

ARMS = {
    "A": "real images",
    "B": "real, classical augmentation",
    "B'": "real, classical augmentation, classes drawn equally often",
    "C": "real and synthetic",
    "D": "real and synthetic, classical augmentation",
    "E": "synthetic only, classical augmentation",
}
PACKAGES = ("ganaug", "torch", "numpy", "pandas", "pyarrow", "scikit-learn", "albumentations")
CODE = ("*.py", "*.yaml", "constraints.txt")  # Git pathspecs of the files that decide a result
PROVENANCE = "provenance.json"  # the commit that ran; kept out of the report
FRAGMENTS = "fragments"  # the space of the gate that looks at pieces of images
MISSING = "\N{EN DASH}"


def main_facts(verdict: Json, made: Json) -> Facts:
    """The figures that matter."""
    repetitions, groups = next(
        (facts["plain_gain"]["num_repetitions"], facts["plain_gain"]["num_groups"])
        for facts in verdict["networks"].values()
    )
    return [
        ("Synthetic images kept", f"{sum(made['accepted'].values()):,}"),
        ("Test groups", f"{groups:,}"),
        ("Repetitions", f"{repetitions}"),
    ]


def answer_rows(verdict: Json) -> TableRows:
    """For each classifier: the best recipe without synthetic images, and what they add."""
    return [
        [
            row["network"],
            row["without"],
            _delta_cell(row["plain_gain"]),
            row["with"] or MISSING,
            _delta_cell(row["uplift"]) if row["uplift"] else MISSING,
        ]
        for row in wording.answers(verdict)
    ]


def arms_rows(metrics: Json) -> dict[str, TableRows]:
    """Macro-F1 in percent of the textbook arms, by network."""
    return {
        net: [
            [f"{arm}: {ARMS[arm]}", *(f"{100 * own[key]:.1f}" for key in ("mean", "std"))]
            for arm, own in facts["arms"].items()
        ]
        for net, facts in metrics["networks"].items()
    }


def choice_rows(metrics: Json, verdict: Json) -> dict[str, TableRows]:
    """The recipes tried on val, by network, best first; the chosen ones are marked."""
    found = {}
    for net, facts in metrics["networks"].items():
        own = verdict["networks"][net]
        taken = {own[kind]["name"]: f" ({kind})" for kind in ("without", "with") if own[kind]}
        found[net] = [
            [
                row["recipe"].replace("_", " ") + taken.get(row["recipe"], ""),
                f"{100 * row['mean']:.1f}",
                f"{100 * row['se']:.1f}",
                str(row["repetitions"]),
            ]
            for row in facts["choice"]["candidates"]
        ]
    return found


def edge_notes(verdict: Json) -> list[str]:
    """A warning for each network whose best share is the largest one tried."""
    return [
        f"With {facts['words']}, the largest share of synthetic images won on val, "
        f"{facts['chosen_share']:.0%}: add larger ones to evaluate.shares."
        for facts in verdict["networks"].values()
        if facts["at_edge"]
    ]


def classes_rows(prepared: Prepared, made: Json, metrics: Json, verdict: Json) -> TableRows:
    """Training images by class, change of recall, and quality beside its floor."""
    synthetic, floor = (metrics["distances"][part]["classes"] for part in ("synthetic", "floor"))
    return [
        [
            name,
            f"{prepared.counts['train'][name]:,}",
            f"{made['accepted'][name]:,}",
            *_recall_cells(verdict, name),
            *_beside_floor(synthetic[name], floor[name], ("kid", "coverage")),
        ]
        for name in prepared.classes
    ]


def recall_heads(verdict: Json) -> list[str]:
    """Heads of the columns of `_recall_cells`."""
    return [f"Recall change, {net}, pp" for net in verdict["networks"]]


def _recall_cells(verdict: Json, name: str) -> list[str]:
    changes = (facts["recall_change_pp"] for facts in verdict["networks"].values())
    return [_delta_cell(change[name]) if change else MISSING for change in changes]


def means_rows(metrics: Json) -> TableRows:
    """Quality in both feature spaces: mean over the measured classes, and overall."""
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


def memorisation_rows(metrics: Json) -> TableRows:
    """The copy gate in each feature space, beside the same numbers of real training images."""
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
        if isinstance(gate, Mapping) and space != FRAGMENTS
    ]


def fragment_sentence(metrics: Json) -> str | None:
    """A sentence about copied fragments; None without synthetic images."""
    gate = metrics["memorisation"].get(FRAGMENTS)
    if gate is None:
        return None
    shares = [f"{gate[key]:.1%}" for key in ("with_fragment", "with_fragment_real")]
    verdict = "passed" if gate["passed"] else "failed"
    return (
        f"{shares[0]} of the synthetic images hold a fragment of a training image, against "
        f"{shares[1]} of the real ones: {verdict}."
    )


def training_sentence(losses: pd.DataFrame, kid: pd.Series) -> str:
    """A sentence about the run and the snapshot kept."""
    return (
        f"The GAN saw {losses.index[-1]:,} real images. The generator kept has the lowest KID on "
        f"val, {kid.min():.4f} after {kid.idxmin():,} images."
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
    """The commit of a working folder, and whether code or params differ; None without Git."""
    git = partial(subprocess.check_output, cwd=folder, text=True, stderr=subprocess.DEVNULL)
    try:
        head = git(["git", "rev-parse", "HEAD"]).strip()
        # Not all files: the run itself writes results and dvc.lock.
        changed = git(["git", "status", "--porcelain", "--", *CODE])
    except (FileNotFoundError, subprocess.CalledProcessError):
        return None
    return f"{head} + uncommitted changes" if changed else head


def provenance_facts(prepared: Prepared, made: Json, metrics: Json, verdict: Json) -> Facts:
    """Where everything comes from: source, counts, generator, measuring networks, versions."""
    source, read = prepared.source, prepared.num_images
    side, colours = prepared.resolution, "grey" if prepared.channels == 1 else "RGB"
    networks = [metrics[space]["extractor"] for space in ("distances", "distances_trained")]
    # A patch release of Python changes no result, and must not change the report's bytes.
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
        ("Paired repetitions", str(verdict["num_repetitions"])),
        ("Confidence of the intervals", f"{verdict['rule']['confidence']:g}"),
        *((f"Weights of {net['name']}, sha256", net["weights_sha256"]) for net in networks),
        ("Git revision", f"in {PROVENANCE}, beside this report"),
        ("Python", python),
        *((package, version(package)) for package in PACKAGES),
    ]


def _delta_cell(delta: Json) -> str:
    """Mean and interval; a dash for what can't be measured."""
    if delta["mean_pp"] is None:
        return MISSING
    if delta["low_pp"] is None:
        return points(delta["mean_pp"])
    return f"{points(delta['mean_pp'])} {wording.interval(delta)}"


def _beside_floor(synthetic: Json, floor: Json, names: Sequence[str]) -> list[str]:
    """Each measure of the synthetic images, followed by that of real ones."""
    values = (part[name] for name in names for part in (synthetic, floor))
    return [MISSING if value is None else f"{value:.3f}" for value in values]
