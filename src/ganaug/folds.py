"""The whole pipeline on several outer folds, and one answer from the test images of all.

One split says little of a few dozen groups. Each fold tests other groups, trains its own GAN and
makes its own choices on val. Put end to end, the predictions of all folds are judged like those of
one test split. What no interval covers: the folds share training images, so they are not
independent (Bengio and Grandvalet 2004, JMLR 5:1089).
"""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import pandas as pd

from ganaug.config import Params, change_params, load_params
from ganaug.curating.reviews import as_text
from ganaug.downstream.intervals import REAL_ONLY
from ganaug.downstream.recipes import PLAIN
from ganaug.errors import GanaugError
from ganaug.fileio import read_json, write_text
from ganaug.preparing.prepared import read_prepared
from ganaug.verdict.comparison import changes
from ganaug.verdict.rule import Evidence, Margins, decide

STAGES = ("prepare", "train", "generate", "evaluate")
INPUTS = ("data/raw", "constraints.txt")  # of the stages, besides the code
REVIEWS = "data/review.csv"  # of the repository's own generator, whose images no fold has
FOUND = ("decision", "reasons", "refusals", "networks", "num_with_parent", "num_translated")
MEASURES = ("kid", "precision", "recall", "density", "coverage")
ROLES = ("plain", "without", "with")  # recipes that are compared, whichever each fold chose


def run_folds(
    root: Path, num_folds: int, *, scratch: Path, changes: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Run `dvc repro evaluate` on each fold, and judge all together.

    Args:
        root: of the repository: params.yaml, dvc.yaml and the code.
        num_folds: F >= 1.
        scratch: folder of the folds; a stopped run goes on there.
        changes: of params.yaml, by `section.key`.
    Returns:
        params (the changes); folds, the findings of each; networks, what they say together;
        decision and reasons, see `decide_together`.
    Raises:
        GanaugError: a stage failed; what it says stands above.
    """
    changes = changes or {}
    params = load_params(root / "params.yaml", changes)
    folders = [scratch.resolve() / f"fold-{fold}" for fold in range(num_folds)]
    for fold, folder in enumerate(folders):
        _lay_out(root.resolve(), folder, {**changes, "prepare.fold": fold})
    for stage in ("prepare", "evaluate"):  # too many folds are refused before the first one trains
        for fold, folder in enumerate(folders):
            print(f"fold {fold + 1} of {num_folds}, up to {stage}", file=sys.stderr, flush=True)
            _reproduce(stage, folder)
    folds = [findings(folder / "results") for folder in folders]
    networks = judge_together(folders, params)
    return {
        "params": dict(changes),
        "folds": folds,
        "networks": networks,
        **decide_together(folds, networks, params),
    }


def _lay_out(root: Path, folder: Path, changes: Mapping[str, Any]) -> None:
    """A copy of the code with params of its own, and with the repository's DVC cache.

    So DVC knows what has been run: by other folds, by a stopped run, by the pipeline itself.
    """
    for part in ("src", "pipeline"):
        shutil.rmtree(folder / part, ignore_errors=True)
        shutil.copytree(root / part, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("dvc.yaml", "params.yaml"):
        shutil.copyfile(root / name, folder / name)
    for name in INPUTS:
        (folder / name).parent.mkdir(exist_ok=True)
        if not (folder / name).is_symlink():
            (folder / name).symlink_to(root / name)
    write_text(as_text([]), folder / REVIEWS)
    params = load_params(root / "params.yaml", changes)
    paths = {
        "prepare.files.path": params.prepare.files.path,
        "prepare.keep_splits": params.prepare.keep_splits,
        "train.init_from": params.train.init_from,
    }
    absolute = {
        key: str(root / path)
        for key, path in paths.items()
        if path and "://" not in path and not Path(path).is_relative_to("data/raw")
    }
    change_params(folder / "params.yaml", {**changes, **absolute})
    config = f"[core]\n    no_scm = true\n[cache]\n    dir = {root / '.dvc' / 'cache'}\n"
    write_text(config, folder / ".dvc" / "config")


def code_first(source: Path) -> dict[str, str]:
    """Variables that put this interpreter's commands and a folder of code first."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    return {"PATH": path, "PYTHONPATH": str(source), "DVC_NO_ANALYTICS": "1"}


def _reproduce(stage: str, folder: Path) -> None:
    """`dvc repro` up to a stage; a stop is left to it, so that training saves its state."""
    environment = os.environ | code_first(folder / "src")
    command = [sys.executable, "-m", "dvc", "repro", stage]
    with subprocess.Popen(command, cwd=folder, env=environment) as process:
        before = signal.signal(signal.SIGTERM, lambda *_: process.terminate())
        try:
            code = process.wait()
        except KeyboardInterrupt:  # dvc has received it too
            process.wait()
            raise
        finally:
            signal.signal(signal.SIGTERM, before)
    if code:
        raise GanaugError(f"{folder}: the stage {stage} or one before it failed, see above")


def findings(results: Path) -> dict[str, Any]:
    """What the stages' results say, in short."""
    metrics = read_json(results / "evaluate" / "metrics.json")
    budgets = {name: results / name / "budget.json" for name in STAGES}
    verdict = read_json(results / "evaluate" / "verdict.json")
    return {
        "num_real": read_json(results / "prepare" / "metrics.json")["counts"],
        "num_synthetic": read_json(results / "generate" / "metrics.json")["accepted"],
        **{key: verdict[key] for key in FOUND if key in verdict},
        "class_mean": {
            part: {name: metrics["distances"][part]["class_mean"][name] for name in MEASURES}
            for part in ("synthetic", "floor")
        },
        "seconds": {  # DVC may have taken a stage from its cache
            name: read_json(path)["seconds"] for name, path in budgets.items() if path.is_file()
        },
    }


def judge_together(folders: Sequence[Path], params: Params) -> dict[str, dict[str, Any]]:
    """By network: words, plain_gain, uplift and recall_change_pp as in verdict.json.

    A fold without synthetic images counts as one where they change nothing.

    Raises:
        GanaugError: two folds test the same group.
    """
    classes = read_prepared(folders[0] / "data" / "prepared").classes
    evaluated = [folder / "results" / "evaluate" for folder in folders]
    verdicts = [read_json(folder / "verdict.json")["networks"] for folder in evaluated]
    predictions = [pd.read_parquet(folder / "predictions.parquet") for folder in evaluated]
    groups = [set(own["group_id"]) for own in predictions]
    if sum(map(len, groups)) > len(set().union(*groups)):
        raise GanaugError(f"{folders[0].parent}: two folds test the same group; remove the folder")
    networks: dict[str, dict[str, Any]] = {}
    for net in params.evaluate.networks:
        said = (_by_role(p, v[net], net) for p, v in zip(predictions, verdicts, strict=True))
        together = pd.concat(chain(*said), ignore_index=True)
        how: dict[str, Any] = {"confidence": params.evaluate.confidence, "seed": params.seed}
        networks[net] = {
            "words": verdicts[0][net]["words"],
            **changes(together, ROLES, classes, **how),
        }
    return networks


def decide_together(
    folds: Sequence[Mapping[str, Any]], networks: Mapping[str, Mapping[str, Any]], params: Params
) -> dict[str, Any]:
    """Apply the rule of one verdict to all folds; in none may the images themselves be refused.

    Args:
        folds: `findings` of each.
        networks: of `judge_together`.
        params: margins and confidence.
    Returns:
        decision, reasons.
    """
    share = {n: max(fold["networks"][n]["chosen_share"] for fold in folds) for n in networks}
    evidence = Evidence(
        networks={net: {**facts, "chosen_share": share[net]} for net, facts in networks.items()},
        memorisation={},
        precision={},
        empty=(),
        num_synthetic=sum(sum(fold["num_synthetic"].values()) for fold in folds),
        num_with_parent=sum(fold.get("num_with_parent", 0) for fold in folds),
        num_translated=sum(fold.get("num_translated", 0) for fold in folds),
    )
    e = params.evaluate
    verdict = decide(evidence, Margins(e.harm_margin_pp, e.recall_margin_pp, e.confidence))
    refusals = [f"Fold {n}: {why}" for n, fold in enumerate(folds) for why in fold["refusals"]]
    return {
        "decision": REAL_ONLY if refusals else verdict["decision"],
        "reasons": refusals + verdict["reasons"],
    }


def _by_role(predictions: pd.DataFrame, facts: Mapping[str, Any], net: str) -> list[pd.DataFrame]:
    """A fold's predictions, named by `ROLES` in place of the recipes that it chose."""
    with_them = facts["with"] or facts["without"]
    names = (PLAIN.name, facts["without"]["name"], with_them["name"])
    own = predictions[predictions["network"] == net]
    return [
        own[own["recipe"] == name].assign(recipe=role)
        for role, name in zip(ROLES, names, strict=True)
    ]
