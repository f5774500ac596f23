"""`make studies`: the whole pipeline with few training images: where synthetic ones pay.

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
from ganaug.evaluation.verdict import MAIN, SECOND, SHIP
from ganaug.fileio import atomic_file, read_json, sha256_file, write_json
from ganaug.gan.checkpoints import fingerprint

ROOT = Path(__file__).parents[1]
PARAMS = ROOT / "params.yaml"
RESULTS = ROOT / "results"
SCRATCH = ROOT / ".ganaug" / "studies"
STUDIES: dict[str, dict[str, Any]] = {
    "elpv-10": {"prepare.source": "elpv", "prepare.resolution": 64, "train.kimg": 16},
    "digits-10": {"prepare.source": "digits", "prepare.resolution": 16, "train.kimg": 20},
}
ALL = {
    "prepare.train_fraction": 0.1,
    "prepare.channels": 1,
    # More than `evaluate.ratios` can use, since distances want them too.
    "generate.strategy": "ratio",
    "generate.amount": 4.0,
    "prepare.keep_splits": None,
    "train.init_from": None,
}
STAGES = ("prepare", "train", "generate", "evaluate")
ARMS = {"D-B": "over classical augmentation", "C-A": "over none"}
MEASURES = ("kid", "precision", "recall", "density", "coverage")
HEADS = (
    "data",
    "real training images",
    "seeds",
    *(f"{words}, {network}" for words in ARMS.values() for network in (MAIN, SECOND)),
    "shipped",
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
    deltas = {MAIN: metrics["deltas"], SECOND: metrics[SECOND]["deltas"]}
    return {
        "num_real": read_json(results / "prepare" / "metrics.json")["counts"],
        "num_synthetic": read_json(results / "generate" / "metrics.json")["accepted"],
        "decision": read_json(results / "evaluate" / "verdict.json")["decision"],
        "uplift": {
            network: {arms: own[arms]["test"] for arms in ARMS if arms in own}
            for network, own in deltas.items()
        },
        "learning_curve": metrics["learning_curve"],
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
    rows = [HEADS, ["---", *["---:"] * (len(HEADS) - 2), "---"]]
    rows += [[name, *_cells(facts)] for name, facts in found.items()]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def _cells(facts: Mapping[str, Any]) -> Iterator[str]:
    uplift = facts["uplift"]
    yield f"{sum(facts['num_real']['train'].values()):,}"
    yield str(uplift[MAIN]["D-B"]["n"])
    for arms in ARMS:
        for network in (MAIN, SECOND):
            delta = uplift[network].get(arms)
            yield (
                f"{delta['mean_pp']:+.1f} ({delta['low_pp']:+.1f} to {delta['high_pp']:+.1f})"
                if delta
                else "none made"
            )
    yield "yes" if facts["decision"] == SHIP else "no"


if __name__ == "__main__":
    wanted = [] if sys.argv[1:] == ["table"] else sys.argv[1:] or list(STUDIES)
    run(partial(main, wanted))
