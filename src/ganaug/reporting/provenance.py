"""Where the results of a report come from: data, code, networks, versions."""

import platform
import subprocess
from collections.abc import Mapping
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

from ganaug.preparing.prepared import Prepared

PACKAGES = ("ganaug", "torch", "numpy", "pandas", "pyarrow", "scikit-learn", "albumentations")
CODE = ("*.py", "*.yaml", "constraints.txt")  # what decides a result, as Git's pathspecs
PROVENANCE = "provenance.json"  # which commit's code ran: the report itself must not depend on it


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


def provenance_facts(
    prepared: Prepared,
    made: Mapping[str, Any],
    metrics: Mapping[str, Any],
    verdict: Mapping[str, Any],
) -> list[tuple[str, str]]:
    """What to say of source, counts, generator, measuring networks and versions, by name."""
    source, side = prepared.source, prepared.resolution
    colours = "grey" if prepared.channels == 1 else "RGB"
    fates = (f"{n:,} {what.replace('_', ' ')}" for what, n in prepared.num_images.items())
    networks = [metrics[space]["extractor"] for space in ("distances", "distances_trained")]
    # A patch of Python changes no result, so it must not change the report's bytes either.
    python = ".".join(platform.python_version_tuple()[:2])
    return [
        ("Real images", f"{source['name']} {source['version']}, {source['homepage']}"),
        ("Licence", source["license"]),
        ("Citation", source["citation"]),
        ("Images", ", ".join(fates)),
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
