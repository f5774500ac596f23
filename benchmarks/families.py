"""Families of networks side by side: as long as "r3" takes, with the same filter and verdict.

Each trains on the same split for about the same wall clock, measurements on val included, and is
sampled, filtered and judged by the stages of the pipeline. What has been run lies in
results/families; delete a file to run it again. The table goes to docs/benchmarks.md.
"""

import re
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.quality import DCGAN, lasting, prepare_source
from benchmarks.studies import ALL, DIGITS, ELPV, ROOT
from ganaug.fileio import atomic_file, read_json, write_json
from ganaug.folds import run_folds
from ganaug.templates import interval, points

RESULTS = ROOT / "results" / "families"
SCRATCH = ROOT / ".ganaug" / "families"
DATA: dict[str, dict[str, Any]] = {"elpv": ELPV, "digits": DIGITS}
# The last three: what their papers train with; more of our recipe would make them no rivals.
FAMILIES: dict[str, dict[str, Any]] = {
    "r3": {},
    "translator": {"train.family": "translator"},
    "dcgan": DCGAN,
    "mlp": {**DCGAN, "train.family": "mlp"},
    "vae": {**DCGAN, "train.family": "vae", "train.lr": 1e-3},
}
HEADS = ("data", "family", "KID", "recall", "coverage", "CNN", "linear", "training")
TABLE = re.compile(r"(?<=<!-- families -->\n).*?(?=<!-- end of families -->)", re.DOTALL)


def main() -> None:
    """Run what has not been run, and write the table."""
    for data, of_data in DATA.items():
        for family, of_family in FAMILIES.items():
            out = RESULTS / f"{data}-{family}.json"
            if not out.is_file():
                write_json(_run(data, family, ALL | of_data | of_family), out)
            print(f"{data} {family}: {out}", flush=True)
    write_table(ROOT / "docs" / "benchmarks.md")


def _run(data: str, family: str, changes: dict[str, Any]) -> dict[str, Any]:
    scratch = SCRATCH / f"{data}-{family}"
    if family != "r3":
        seconds = read_json(RESULTS / f"{data}-r3.json")["folds"][0]["seconds"]["train"]
        with tempfile.TemporaryDirectory() as folder:
            resolution = DATA[data]["prepare.resolution"]
            dataset = prepare_source(data, resolution, Path(folder) / "prepared")
            params = lasting(seconds, changes, dataset, Path(folder) / "states")
        changes |= {"train.kimg": params.train.kimg}
    found = run_folds(ROOT, 1, scratch=scratch, changes=changes)
    shutil.rmtree(scratch)
    return found


def write_table(page: Path) -> None:
    """Put the table between its marks."""
    text = page.read_text(encoding="utf-8")
    rows = [HEADS, ("---",) * len(HEADS)]
    for file in sorted(RESULTS.glob("*.json")):
        data, _, family = file.stem.partition("-")
        rows.append(_row(data, family, read_json(file)))
    table = "".join(f"| {' | '.join(row)} |\n" for row in rows)
    with atomic_file(page) as temporary:
        temporary.write_text(TABLE.sub(lambda _: table, text), encoding="utf-8")


def _row(data: str, family: str, found: Mapping[str, Any]) -> tuple[str, ...]:
    (fold,) = found["folds"]
    made, floor = (fold["class_mean"][side] for side in ("synthetic", "floor"))
    uplifts = [found["networks"][net]["uplift"] for net in ("cnn", "linear")]
    return (
        data,
        family,
        *(_beside(made[name], floor[name]) for name in ("kid", "recall", "coverage")),
        *(f"{points(u['mean_pp'])} {interval(u)}" if u else "none made" for u in uplifts),
        f"{fold['seconds']['train']:.0f} s",
    )


def _beside(made: float | None, floor: float | None) -> str:
    """A figure and, in brackets, that of other real images."""
    one, other = ("too few" if value is None else f"{value:.2f}" for value in (made, floor))
    return f"{one} ({other})"
