"""Families of networks side by side: as long as "r3" takes, with the same filter and verdict.

Each trains on the same split for about the same wall clock, measurements on val included, and is
sampled, filtered and judged by the stages of the pipeline; the verdict takes one share of synthetic
images and half of the repetitions, for time. What has been run lies in
results/families; delete a file to run it again. The table goes to docs/benchmarks.md, what it says
of "vae" to README.
`python -m benchmarks.families digits` runs one dataset.
"""

import shutil
import sys
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from benchmarks.pages import as_markdown, put_table
from benchmarks.quality import DCGAN, lasting, prepare_source
from benchmarks.studies import ALL, DIGITS, ELPV, ROOT
from ganaug.errors import GanaugError
from ganaug.fileio import read_json, write_json
from ganaug.folds import run_folds
from ganaug.publishing.wording import change_cell
from ganaug.templates import points

RESULTS = ROOT / "results" / "families"
SCRATCH = ROOT / ".ganaug" / "families"
DATA: dict[str, dict[str, Any]] = {"elpv": ELPV, "digits": DIGITS}
# The last three: what their papers train with; more of our recipe would make them no rivals.
FAMILIES: dict[str, dict[str, Any]] = {
    "r3": {},
    "translator": {"train.family": "translator"},
    "vae": {**DCGAN, "train.family": "vae", "train.lr": 1e-3},
    "dcgan": DCGAN,
    "mlp": {**DCGAN, "train.family": "mlp"},
}
SHORTER = {"evaluate.shares": [0.5], "evaluate.num_repetitions": 3}
HEADS = ("data", "family", "KID", "recall", "coverage", "CNN", "linear", "training")


def main(names: Iterable[str] = DATA) -> None:
    """Run what has not been run of these datasets, and write the table."""
    for data in names:
        for family, of_family in FAMILIES.items():
            out = RESULTS / f"{data}-{family}.json"
            if not out.is_file():
                write_json(_run(data, family, ALL | SHORTER | DATA[data] | of_family), out)
            print(f"{data} {family}: {out}", flush=True)
    rows = [_row(file) for file in sorted(RESULTS.glob("*.json"))]
    put_table(as_markdown([HEADS, *rows]), "families", ROOT / "docs" / "benchmarks.md")
    if len(rows) == len(DATA) * len(FAMILIES):
        put_table(_why_not_a_vae(), "vae", ROOT / "README.md")


def _run(data: str, family: str, changes: dict[str, Any]) -> dict[str, Any]:
    scratch = SCRATCH / f"{data}-{family}"
    if family != "r3":
        seconds = _seconds(read_json(RESULTS / f"{data}-r3.json"))
        with tempfile.TemporaryDirectory() as folder:
            resolution = DATA[data]["prepare.resolution"]
            dataset = prepare_source(data, resolution, Path(folder) / "prepared")
            params = lasting(seconds, changes, dataset, Path(folder) / "states")
        changes |= {"train.kimg": params.train.kimg}
    found = run_folds(ROOT, 1, scratch=scratch, changes=changes)
    shutil.rmtree(scratch)
    _seconds(found)  # nothing is kept without
    return found


def _why_not_a_vae() -> str:
    """Three lines for README: figures of "vae" and, in brackets, of "r3", on each dataset."""
    pairs = [[_figures(data, family) for family in ("vae", "r3")] for data in DATA]
    cells = [[f"{own} ({other})" for own, other in zip(*pair, strict=True)] for pair in pairs]
    kid, recall, gain = (" and ".join(found) for found in zip(*cells, strict=True))
    return (
        "**Why not a VAE?** Trained as long as `r3`, on solar cells and on digits, `vae` reaches\n"
        f"KID {kid}, in brackets `r3`; recall {recall}.\n"
        f"To a CNN its images add {gain} pp; all families: "
        "[docs/benchmarks.md](docs/benchmarks.md#families-of-networks).\n"
    )


def _figures(data: str, family: str) -> tuple[str, str, str]:
    """KID, recall and what the images add to a CNN's macro-F1."""
    (fold,) = read_json(RESULTS / f"{data}-{family}.json")["folds"]
    kid, recall = (f"{fold['class_mean']['synthetic'][name]:.2f}" for name in ("kid", "recall"))
    return kid, recall, points(fold["networks"]["cnn"]["uplift"]["mean_pp"])


def _row(file: Path) -> tuple[str, ...]:
    data, _, family = file.stem.partition("-")
    found = read_json(file)
    (fold,) = found["folds"]
    synthetic, floor = (fold["class_mean"][side] for side in ("synthetic", "floor"))
    return (
        data,
        family,
        *(_beside(synthetic[name], floor[name]) for name in ("kid", "recall", "coverage")),
        *(change_cell(found["networks"][net]["uplift"]) for net in ("cnn", "linear")),
        f"{_seconds(found):.0f} s",
    )


def _seconds(found: Mapping[str, Any]) -> float:
    """Of training, which DVC may have skipped."""
    (fold,) = found["folds"]
    if "train" not in fold["seconds"]:
        raise GanaugError(
            "DVC took a generator from its cache: remove .dvc/cache/runs, start again"
        )
    return float(fold["seconds"]["train"])


def _beside(synthetic: float | None, floor: float | None) -> str:
    """A figure and, in brackets, that of other real images."""
    one, other = ("too few" if v is None else f"{round(v, 2) + 0:.2f}" for v in (synthetic, floor))
    return f"{one} ({other})"


if __name__ == "__main__":
    main(sys.argv[1:] or DATA)
