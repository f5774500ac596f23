"""The whole pipeline on several outer folds, and one answer from the test images of all.

One split says little of a few dozen groups. Each fold tests other groups, trains its own GAN and
makes its own choices on val. Put end to end, the predictions of all folds are judged like those of
one test split. What no interval covers: the folds share training images, so they are not
independent (Bengio and Grandvalet 2004, JMLR 5:1089).
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from ganaug.config import Params, change_params, load_params, stage_commands
from ganaug.downstream.recipes import PLAIN
from ganaug.errors import GanaugError
from ganaug.fileio import read_json, sha256_file
from ganaug.gan.checkpoints import fingerprint
from ganaug.preparing.prepared import read_prepared
from ganaug.verdict.evidence import changes
from ganaug.verdict.rule import Evidence, Margins, decide

STAGES = ("prepare", "train", "generate", "evaluate")
MEASURES = ("kid", "precision", "recall", "density", "coverage")
ROLES = ("plain", "without", "with")  # recipes that are compared, whichever each fold chose


def run_folds(
    root: Path, num_folds: int, *, scratch: Path, changes: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Run what has not run yet, and judge all folds together.

    Args:
        root: of the repository: params.yaml, dvc.yaml and the code.
        num_folds: F >= 1.
        scratch: folder that keeps what a stopped run has done.
        changes: of params.yaml, by `section.key`.
    Returns:
        params (the changes); folds, the findings of each; networks, what they say together;
        decision, sentence and reasons of the rule, see `decide_together`.
    Raises:
        GanaugError: a stage failed; what it says stands above.
    """
    params = load_params(root / "params.yaml", changes)
    folders = []
    for fold in range(num_folds):
        print(f"fold {fold + 1} of {num_folds}", file=sys.stderr, flush=True)
        folders.append(_run_fold(root, scratch, {**(changes or {}), "prepare.fold": fold}))
    found = [findings(folder / "results") for folder in folders]
    networks = judge_together(folders, params)
    decided = decide_together(found, networks, params)
    return {"params": dict(changes or {}), "folds": found, "networks": networks, **decided}


def _run_fold(root: Path, scratch: Path, changes: Mapping[str, Any]) -> Path:
    """The folder in which the stages have run, named by all that decides their outcome."""
    params = load_params(root / "params.yaml", changes)
    files = (path for part in ("src", "pipeline") for path in sorted((root / part).rglob("*.py")))
    code = [sha256_file(path) for path in files]
    folder = scratch / fingerprint([params.model_dump(mode="json"), code])
    (folder / "data").mkdir(parents=True, exist_ok=True)
    if (root / "data" / "raw").is_dir() and not (folder / "data" / "raw").exists():
        (folder / "data" / "raw").symlink_to((root / "data" / "raw").resolve())
    shutil.copyfile(root / "params.yaml", folder / "params.yaml")
    change_params(folder / "params.yaml", changes)
    commands = stage_commands(root / "dvc.yaml")
    search = os.pathsep.join([str(root.resolve()), str(root.resolve() / "src")])
    for stage in STAGES:
        if (folder / "results" / stage / "budget.json").is_file():  # it is written last
            continue
        command = [sys.executable, *commands[stage].split()[1:]]
        environment = os.environ | {"PYTHONPATH": search}
        if subprocess.run(command, cwd=folder, env=environment, check=False).returncode:
            raise GanaugError(f"{folder}: the stage {stage} failed; the same command goes on there")
    return folder


def findings(results: Path) -> dict[str, Any]:
    """What the stages' results say, in short."""
    metrics = read_json(results / "evaluate" / "metrics.json")
    verdict = read_json(results / "evaluate" / "verdict.json")
    seconds = {stage: read_json(results / stage / "budget.json")["seconds"] for stage in STAGES}
    return {
        "num_real": read_json(results / "prepare" / "metrics.json")["counts"],
        "num_synthetic": read_json(results / "generate" / "metrics.json")["accepted"],
        "decision": verdict["decision"],
        "reasons": verdict["reasons"],
        "copying_passed": verdict["memorisation"]["passed"],
        "networks": verdict["networks"],
        "class_mean": {
            part: {name: metrics["distances"][part]["class_mean"][name] for name in MEASURES}
            for part in ("synthetic", "floor")
        },
        "seconds": seconds,
    }


def judge_together(folders: Sequence[Path], params: Params) -> dict[str, dict[str, Any]]:
    """By network: words, plain_gain, uplift and recall_change_pp as in verdict.json.

    A fold without synthetic images counts as one where they change nothing.
    """
    classes = read_prepared(folders[0] / "data" / "prepared").classes
    evaluated = [folder / "results" / "evaluate" for folder in folders]
    verdicts = [read_json(folder / "verdict.json")["networks"] for folder in evaluated]
    predictions = [pd.read_parquet(folder / "predictions.parquet") for folder in evaluated]
    found: dict[str, dict[str, Any]] = {}
    for net in params.evaluate.networks:
        said = [_by_role(p, v[net], net) for p, v in zip(predictions, verdicts, strict=True)]
        together = pd.concat(said, ignore_index=True)
        how: dict[str, Any] = {"confidence": params.evaluate.confidence, "seed": params.seed}
        words = {"words": verdicts[0][net]["words"]}
        found[net] = words | changes(together, ROLES, classes, **how)
    return found


def decide_together(
    folds: Sequence[Mapping[str, Any]], networks: Mapping[str, Mapping[str, Any]], params: Params
) -> dict[str, Any]:
    """Apply the rule of one verdict to all folds; copying must pass in each of them.

    Args:
        folds: `findings` of each.
        networks: of `judge_together`.
        params: margins and confidence.
    Returns:
        decision, sentence, reasons.
    """
    shares = {net: max(fold["networks"][net]["chosen_share"] for fold in folds) for net in networks}
    evidence = Evidence(
        networks={net: {**facts, "chosen_share": shares[net]} for net, facts in networks.items()},
        memorisation={
            f"fold {i}": {"passed": fold["copying_passed"]} for i, fold in enumerate(folds)
        },
        precision={},
        empty=(),
        num_synthetic=sum(sum(fold["num_synthetic"].values()) for fold in folds),
        num_with_parent=0,
    )
    e = params.evaluate
    verdict = decide(evidence, Margins(e.harm_margin_pp, e.recall_margin_pp, e.confidence))
    return {key: verdict[key] for key in ("decision", "sentence", "reasons")}


def _by_role(predictions: pd.DataFrame, facts: Mapping[str, Any], net: str) -> pd.DataFrame:
    """A fold's predictions, named by `ROLES` in place of the recipes that it chose."""
    with_them = facts["with"] or facts["without"]
    names = (PLAIN.name, facts["without"]["name"], with_them["name"])
    own = predictions[predictions["network"] == net]
    parts = [
        own[own["recipe"] == name].assign(recipe=role)
        for role, name in zip(ROLES, names, strict=True)
    ]
    together: pd.DataFrame = pd.concat(parts)
    return together
