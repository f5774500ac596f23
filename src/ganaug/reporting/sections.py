"""What each section of the report says: one small function a section, from the files of the run.

A missing fact is an error here, never a gap in the report.
"""

import platform
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Any

import pandas as pd

from ganaug.preparing.prepared import Prepared
from ganaug.publishing.wording import points, uplift_rows

Facts = list[tuple[str, str]]
Json = Mapping[str, Any]

HEADLINES = {"ship": "Ship", "ship_real_only": "Ship the real images only"}
ARMS = {
    "A": "real images",
    "B": "real, classical augmentation",
    "B'": "real, classical augmentation, classes drawn equally often",
    "C": "real and synthetic",
    "D": "real and synthetic, classical augmentation",
    "E": "synthetic only",
}
PACKAGES = ("ganaug", "torch", "numpy", "pandas", "pyarrow", "scikit-learn", "albumentations")
MISSING = "\N{EN DASH}"


def verdict_section(verdict: Json, made: Json) -> dict[str, Any]:
    """Headline, sentence, reasons, and the three figures that matter."""
    first = uplift_rows(verdict)[0]
    return {
        "decision": verdict["decision"],
        "headline": HEADLINES[verdict["decision"]],
        "sentence": verdict["sentence"],
        "reasons": verdict["reasons"],
        "facts": [
            ("Uplift over classical augmentation", f"{points(first['mean_pp'])} pp"),
            ("Interval", f"{points(first['low_pp'])} to {points(first['high_pp'])} pp"),
            ("Synthetic images kept", f"{sum(made['accepted'].values()):,}"),
        ],
    }


def uplift_section(verdict: Json) -> list[list[str]]:
    """Rows of the uplift table."""
    return [
        [
            f"{row['arms']}: {row['words']}",
            *(points(row[key]) for key in ("mean_pp", "low_pp", "high_pp")),
            f"{row['p_value']:.3f}",
            str(row["n"]),
        ]
        for row in uplift_rows(verdict)
    ]


def arms_section(metrics: Json) -> list[list[str]]:
    """Rows of the arms table, macro-F1 in percent."""
    return [
        [f"{arm}: {ARMS[arm]}", f"{100 * facts['mean']:.1f}", f"{100 * facts['std']:.1f}"]
        for arm, facts in metrics["arms"].items()
    ]


CLASS_HEADS = [
    *("Class", "Real", "Synthetic", "Recall change, pp"),
    *("KID", "KID floor", "Coverage", "Coverage floor"),
]


def classes_section(
    prepared: Prepared, made: Json, metrics: Json, verdict: Json
) -> list[list[str]]:
    """Rows of the table of classes, under `CLASS_HEADS`."""
    distances = metrics["distances"]
    return [
        [
            name,
            f"{prepared.counts['train'][name]:,}",
            f"{made['accepted'][name]:,}",
            points(verdict["recall_change_pp"][name]),
            *(
                _decimal(distances[which]["classes"][name][metric])
                for metric in ("kid", "coverage")
                for which in ("synthetic", "floor")
            ),
        ]
        for name in prepared.classes
    ]


def memorisation_section(verdict: Json) -> Facts:
    """Figures of the memorisation gate, in its own words."""
    return [(_words(name), _value(value)) for name, value in verdict["memorisation"].items()]


def training_section(losses: Mapping[str, pd.Series], kid: pd.Series) -> dict[str, str]:
    """One sentence about the run and the snapshot that was kept."""
    seen = int(losses["total"].index[-1])
    best, value = min(zip(kid.index.tolist(), kid.tolist(), strict=True), key=lambda at: at[1])
    return {
        "sentence": (
            f"The GAN saw {seen:,} real images. The generator that was kept has the lowest KID on "
            f"val, {value:.4f} after {best:,} images."
        )
    }


def drawn_section(classes: Sequence[str], made: Json) -> dict[str, dict[str, int]]:
    """{class: {"kept": n, reason: n, ...}}, every class with the same reasons."""
    reasons = list(dict.fromkeys(why for name in classes for why in made["rejected"][name]))
    return {
        name: {
            "kept": made["accepted"][name],
            **{_words(reason): made["rejected"][name].get(reason, 0) for reason in reasons},
        }
        for name in classes
    }


def rejects_section(drawn: Mapping[str, Mapping[str, int]], made: Json) -> dict[str, Any]:
    """The same as a table, with what was wanted and drawn."""
    columns = list(next(iter(drawn.values())))
    return {
        "heads": ["Class", "wanted", "drawn", *columns],
        "rows": [
            [name, f"{made['wanted'][name]:,}", f"{made['drawn'][name]:,}"]
            + [f"{facts[column]:,}" for column in columns]
            for name, facts in drawn.items()
        ],
    }


def provenance_section(prepared: Prepared, made: Json, verdict: Json) -> Facts:
    """Where everything comes from: source, counts, generator, rule, versions."""
    source, read = prepared.source, prepared.num_images
    shape = f"{prepared.resolution} x {prepared.resolution} px, " + (
        "grey" if prepared.channels == 1 else "RGB"
    )
    return [
        ("Real images", f"{source['name']} {source['version']}, {source['homepage']}"),
        ("Licence", source["license"]),
        ("Citation", source["citation"]),
        ("Read, accepted, rejected", ", ".join(f"{n:,}" for n in read.values())),
        ("Image format", shape),
        ("Generator, sha256", made["generator_id"]),
        ("Amount of synthetic images", f"{made['strategy']}, {made['amount']}"),
        ("Synthetic share of a batch", _value(verdict["synthetic_fraction"])),
        ("Paired seeds", str(verdict["num_seeds"])),
        *((f"Rule: {_words(name)}", _value(value)) for name, value in verdict["rule"].items()),
        ("Python", platform.python_version()),
        *((package, version(package)) for package in PACKAGES),
    ]


def _words(name: str) -> str:
    return name.replace("_", " ").removesuffix(" pp")


def _decimal(value: float | None) -> str:
    return MISSING if value is None else f"{value:.3f}"


def _value(value: Any) -> str:
    """A fact of a JSON file for a person."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, list):
        return ", ".join(map(_value, value)) or "none"
    return MISSING if value is None else str(value)
