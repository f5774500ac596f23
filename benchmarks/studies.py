"""Small and lopsided data, and other data: what a GAN brings there, on several outer folds.

Each study runs the stages of dvc.yaml on `NUM_FOLDS` folds in folders of their own, on params.yaml
with changes, and leaves results/studies/NAME.json; delete that to run it again. A stopped study
goes on with the stage it was in, as long as params and code are the same. `make table` writes
README's table from these files and from the results of the pipeline itself.
"""

import shutil
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.pages import as_markdown, put_table
from ganaug.config import load_params
from ganaug.errors import GanaugError, run
from ganaug.fileio import read_json, write_json
from ganaug.folds import decide_together, findings, run_folds
from ganaug.publishing.wording import study_rows

ROOT = Path(__file__).parents[1]
PARAMS = ROOT / "params.yaml"
RESULTS = ROOT / "results"
SCRATCH = ROOT / ".ganaug" / "studies"
ELPV: dict[str, Any] = {"prepare.source": "elpv", "prepare.resolution": 64}
DIGITS: dict[str, Any] = {"prepare.source": "digits", "prepare.resolution": 16}
TENTH: dict[str, Any] = {
    "prepare.train_fraction": 0.1,
    "generate.strategy": "ratio",
    "generate.amount": 4.0,
}
# From the most frequent class to the rarest, each rarer by the same factor; solar cells are 1:30
LONG_TAIL = {str(i): round(100 * 20 ** (-i / 9)) for i in range(10)}
STUDIES: dict[str, dict[str, Any]] = {
    "elpv": ELPV,
    "elpv-10": {**ELPV, **TENTH, "train.kimg": 16},
    "elpv-long-tail": {**ELPV, "prepare.keep_train": {"mono-defective": 20, "poly-defective": 31}},
    "digits": {**DIGITS, "train.kimg": 45},
    "digits-10": {**DIGITS, **TENTH, "train.kimg": 20},
    "digits-long-tail": {**DIGITS, "prepare.keep_train": LONG_TAIL, "train.kimg": 30},
}
TITLES = {  # in README's table, in this order
    "elpv": "solar cells",
    "elpv-10": "solar cells, a tenth",
    "elpv-long-tail": "solar cells, long tail 1:30",
    "digits": "digits",
    "digits-10": "digits, a tenth",
    "digits-long-tail": "digits, long tail 1:20",
}
ALL = {"prepare.channels": 1, "prepare.keep_splits": None, "train.init_from": None}
NUM_FOLDS = 3


def main(names: Sequence[str]) -> None:
    """Run the studies that have no results yet, and bring README's table up to date."""
    for name in names:
        if name not in STUDIES:
            raise GanaugError(f"no study {name!r}; there are {', '.join(STUDIES)}")
        out = RESULTS / "studies" / f"{name}.json"
        if not out.is_file():
            found = run_folds(ROOT, NUM_FOLDS, scratch=SCRATCH / name, changes=ALL | STUDIES[name])
            write_json(found, out)
            shutil.rmtree(SCRATCH / name)
        print(f"{name}: {out}", flush=True)
    put_table(table(RESULTS), "studies", ROOT / "README.md")


def table(results: Path) -> str:
    """The pipeline's own results and those of the studies as Markdown."""
    own = findings(results)
    params = load_params(PARAMS)
    source = params.prepare.source
    title = f"{TITLES.get(source, source)}, the run in `results/`"
    rows = study_rows(title, {**own, "folds": [own]})
    for name, title in TITLES.items():
        path = results / "studies" / f"{name}.json"
        if path.is_file():
            study = read_json(path)
            if study["params"] != ALL | STUDIES[name]:
                raise GanaugError(f"{path} is of other params: delete it, and run the study again")
            decided = decide_together(study["folds"], study["networks"], params)
            rows += study_rows(title, study | decided)
    return as_markdown([list(rows[0]), *(list(row.values()) for row in rows)])


if __name__ == "__main__":
    wanted = [] if sys.argv[1:] == ["table"] else sys.argv[1:] or list(STUDIES)
    run(partial(main, wanted))
