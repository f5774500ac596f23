"""`make studies`: the whole pipeline on full, small and lopsided data: where synthetic images pay.

Each study runs the stages of dvc.yaml in a folder of its own, on params.yaml with changes, and
leaves results/studies/NAME.json; delete that to run it again. One that was stopped goes on with the
stage it was in, as long as params and code are the same. `make table` writes README's table from
these files and from the results of the pipeline itself.
"""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from ganaug.config import change_params, load_params
from ganaug.errors import GanaugError, run
from ganaug.fileio import atomic_file, read_json, sha256_file, write_json
from ganaug.gan.checkpoints import fingerprint
from ganaug.publishing.wording import HEADLINES, answers, interval, points

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
# 1:20 from the most frequent class to the rarest, each rarer by the same factor
LONG_TAIL = {str(i): round(100 * 20 ** (-i / 9)) for i in range(10)}
STUDIES: dict[str, dict[str, Any]] = {
    "elpv-10": {**ELPV, **TENTH, "train.kimg": 16},
    "elpv-long-tail": {**ELPV, "prepare.keep_train": {"mono-defective": 20, "poly-defective": 31}},
    "digits": {**DIGITS, "train.kimg": 45},
    "digits-10": {**DIGITS, **TENTH, "train.kimg": 20},
    "digits-long-tail": {**DIGITS, "prepare.keep_train": LONG_TAIL, "train.kimg": 30},
}
ALL = {
    "prepare.channels": 1,
    "prepare.keep_splits": None,
    "train.init_from": None,
}
STAGES = ("prepare", "train", "generate", "evaluate")
MEASURES = ("kid", "precision", "recall", "density", "coverage")
HEADS = (
    "data",
    "real training images",
    "classifier",
    "best without synthetic images",
    "over plain training",
    "best with them",
    "what they add",
    "verdict",
)
TABLE = re.compile(r"(?<=<!-- studies -->\n).*?(?=<!-- end of studies -->)", re.DOTALL)


def main(names: Sequence[str]) -> None:
    """Run the studies that have no results yet, and bring README's table up to date."""
    for name in names:
        if name not in STUDIES:
            raise GanaugError(f"no study {name!r}; there are {', '.join(STUDIES)}")
        out = RESULTS / "studies" / f"{name}.json"
        if not out.is_file():
            write_json(run_study(ALL | STUDIES[name], SCRATCH / name), out)
            shutil.rmtree(SCRATCH / name)
        print(f"{name}: {out}", flush=True)
    write_table(ROOT / "README.md")


def run_study(changes: Mapping[str, Any], scratch: Path) -> dict[str, Any]:
    """Run the stages that have not run yet, and say what came of it.

    Args:
        changes: of params.yaml, by `section.key`.
        scratch: folder that keeps what a stopped study has done.
    Raises:
        GanaugError: a stage failed; what it says stands above.
    """
    files = (path for part in ("src", "pipeline") for path in sorted((ROOT / part).rglob("*.py")))
    code = [sha256_file(path) for path in files]
    folder = scratch / fingerprint([load_params(PARAMS, changes).model_dump(mode="json"), code])
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(PARAMS, folder / "params.yaml")
    change_params(folder / "params.yaml", changes)
    commands = YAML(typ="safe", pure=True).load(ROOT / "dvc.yaml")["stages"]
    search = os.pathsep.join([str(ROOT), str(ROOT / "src")])
    for stage in STAGES:
        if not (folder / "results" / stage / "budget.json").is_file():  # it is written last
            ended = subprocess.run(
                [sys.executable, *commands[stage]["cmd"].split()[1:]],
                cwd=folder,
                env=os.environ | {"PYTHONPATH": search},
                check=False,
            )
            if ended.returncode:
                raise GanaugError(f"{scratch.name}: the stage {stage} failed")
    return {"params": dict(changes), **findings(folder / "results")}


def findings(results: Path) -> dict[str, Any]:
    """What the stages' results say, in short."""
    metrics = read_json(results / "evaluate" / "metrics.json")
    verdict = read_json(results / "evaluate" / "verdict.json")
    return {
        "num_real": read_json(results / "prepare" / "metrics.json")["counts"],
        "num_synthetic": read_json(results / "generate" / "metrics.json")["accepted"],
        "decision": verdict["decision"],
        "networks": verdict["networks"],
        "class_mean": {
            part: {name: metrics["distances"][part]["class_mean"][name] for name in MEASURES}
            for part in ("synthetic", "floor")
        },
        "seconds": {
            stage: read_json(results / stage / "budget.json")["seconds"] for stage in STAGES
        },
    }


def write_table(readme: Path) -> None:
    """Put the table between its marks."""
    text = readme.read_text(encoding="utf-8")
    with atomic_file(readme) as temporary:
        temporary.write_text(TABLE.sub(lambda _: table(RESULTS), text), encoding="utf-8")


def table(results: Path) -> str:
    """The pipeline's own results and those of the studies as Markdown."""
    studies = sorted((results / "studies").glob("*.json"))
    found: dict[str, dict[str, Any]] = {load_params(PARAMS).prepare.source: findings(results)}
    found |= {path.stem: read_json(path) for path in studies}
    rows = [list(HEADS), ["---"] * len(HEADS)]
    rows += [row for name, facts in found.items() for row in _rows(name, facts)]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def _rows(name: str, facts: Mapping[str, Any]) -> Iterator[list[str]]:
    """A row for each classifier."""
    num_real = f"{sum(facts['num_real']['train'].values()):,}"
    for row in answers(facts):
        yield [
            name,
            num_real,
            row["network"],
            row["without"],
            _cell(row["plain_gain"]),
            row["with"] or "none made",
            _cell(row["uplift"]) if row["uplift"] else "none made",
            HEADLINES[facts["decision"]],
        ]


def _cell(delta: Mapping[str, Any]) -> str:
    return f"{points(delta['mean_pp'])} {interval(delta)}"


if __name__ == "__main__":
    wanted = [] if sys.argv[1:] == ["table"] else sys.argv[1:] or list(STUDIES)
    run(partial(main, wanted))
