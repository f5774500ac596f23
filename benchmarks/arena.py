"""The arena: which pool of images teaches a classifier most, by dataset and regime, on outer folds.

Cells are datasets x regimes (all images, a tenth, a long tail, one rare class). Each outer fold of
a cell trains a generator a pool and asks what its images add to the best recipe without any, with
classes drawn equally; mixup and CutMix, the paste, compete without synthetic images. Recipes are
chosen on val, the changes are measured on the images that the fold holds out. The sealed test
split of the default run never comes in: all folds are cut from its train and val images.

Every fold leaves a file in results/arena, so a stopped arena goes on, and so does one of another
day; delete the files to run them again. `python -m benchmarks.arena CELL ...` runs some cells,
`table` only writes docs/arena.md.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from imblearn.over_sampling import SMOTE
from numpy.typing import NDArray
from sklearn.metrics import f1_score

from benchmarks.pages import as_markdown, put_table
from benchmarks.quality import PARAMS, prepare_source
from benchmarks.studies import ALL, DIGITS, ELPV, LONG_TAIL, ROOT, TENTH
from ganaug.config import change_params, load_params
from ganaug.downstream.linear import FEATURE_RESOLUTION, view_sets
from ganaug.downstream.recipes import TEACHER, Recipe
from ganaug.downstream.runs import Run, Sets, score_runs
from ganaug.downstream.setting import Setting
from ganaug.errors import GanaugError, run
from ganaug.fileio import atomic_file, read_json, write_json
from ganaug.folds import code_first
from ganaug.parallel import map_unordered
from ganaug.preparing.prepared import Prepared, read_prepared
from ganaug.publishing.wording import change_cell
from ganaug.quality.features import ImageNetFeatures
from ganaug.quality.parts import LabelledImages, Part, Parts, read_parts
from ganaug.templates import points
from ganaug.verdict.comparison import changes
from ganaug.verdict.evaluate import classifier_setting

RESULTS = ROOT / "results" / "arena"
SCRATCH = ROOT / ".ganaug" / "arena"
PAGE = ROOT / "docs" / "arena.md"
NUM_FOLDS = 3
REPETITIONS = 4
NETWORKS = ("cnn", "linear")
POOLS = {"noise": "r3", "translated": "translator"}  # and the family that makes it
BOTH = "both"
TOGETHER = {**{pool: [pool] for pool in POOLS}, BOTH: list(POOLS)}  # which pools each one holds
SMOTE_NAME = "SMOTE"  # of features, for the linear classifier
BEST = "without"  # the best recipe without synthetic images
RARE = 0.5  # of the images of the largest class: classes with fewer are called rare
DATA: dict[str, dict[str, Any]] = {
    "elpv": {**ELPV, "prepare.files.flips": ["hflip", "vflip"], "train.kimg": 24},
    "digits": {**DIGITS, "prepare.files.flips": [], "train.kimg": 30},
}
KEEP = "prepare.keep_train"
REGIMES: dict[str, dict[str, dict[str, Any]]] = {
    "elpv": {
        "full": {},
        "tenth": {**TENTH, "train.kimg": 16},
        "long-tail": {KEEP: {"mono-defective": 20, "poly-defective": 31}},
        "rare": {KEEP: {"mono-defective": 20}},
    },
    "digits": {
        "full": {},
        "tenth": {**TENTH, "train.kimg": 20},
        "long-tail": {KEEP: LONG_TAIL},
        "rare": {KEEP: {"8": 20}},
    },
}
SMALL = ["digits-long-tail"]  # what `small` runs, on one fold
HEADS = (
    "cell",
    "classifier",
    "folds",
    "balanced",
    "best without",
    "paste",
    *TOGETHER,
    SMOTE_NAME,
    *(f"rare recall, {pool}" for pool in TOGETHER),
    "hours",
)
CELLS = [f"{data}-{regime}" for data, regimes in REGIMES.items() for regime in regimes]
WITHOUT = (TEACHER, replace(TEACHER, mixup=True), replace(TEACHER, cutmix=True))
SHARES = ((0.2, False), (0.2, True), (0.5, True))  # and whether by need
WITHOUT_NAMES = ("balanced", "mixup", "paste")  # in the table


def main(cells: Sequence[str], folds: Sequence[int]) -> None:
    """Run what has no results yet, fold by fold, and write the table."""
    for cell in cells:
        if cell not in CELLS:
            raise GanaugError(f"no cell {cell!r}; there are {', '.join(CELLS)}")
    for fold in folds:
        for cell in cells:
            if not (RESULTS / f"{cell}-{fold}.json").is_file():
                run_fold(cell, fold)
            print(f"arena: {cell}, fold {fold}: done", flush=True)
    write_table()


def run_fold(cell: str, fold: int) -> None:
    """Prepare, train and draw each pool, score, and leave the results; a stopped one goes on."""
    data, _, regime = cell.partition("-")
    folder, began = SCRATCH / _version() / f"{cell}-{fold}", time.monotonic()
    params = ALL | DATA[data] | REGIMES[data][regime]
    params |= {
        "prepare.source": "parquet",
        "prepare.files.path": str(unsealed(data)),
        "prepare.table.group": "group_id",
        "prepare.fold": fold,
    }
    prepared, metrics = folder / "prepared", folder / "prepare.json"
    _stage("prepare", folder, params, prepared, out=prepared, metrics=metrics)
    for pool, family in POOLS.items():
        own, snapshot = folder / pool, folder / pool / "generator"
        params |= {"train.family": family}
        places = {"prepared": prepared, "out": snapshot, "results": own}
        _stage("train", own, params, snapshot, **places, checkpoints=own / "states")
        images = own / "synthetic"
        places |= {"snapshot": snapshot, "out": images, "review": ROOT / "data" / "review.csv"}
        _stage("generate", own, params, images, **places)
    predictions, facts = score(read_prepared(prepared), folder)
    RESULTS.mkdir(parents=True, exist_ok=True)
    with atomic_file(RESULTS / f"{cell}-{fold}.parquet") as temporary:
        predictions.to_parquet(temporary, index=False)
    seconds = round(time.monotonic() - began)
    write_json({**facts, "seconds": seconds}, RESULTS / f"{cell}-{fold}.json")
    shutil.rmtree(folder)


def _version() -> str:
    """A folder of what other code or params made is not gone on with."""
    digest = hashlib.sha256((ROOT / "params.yaml").read_bytes())
    for path in sorted((ROOT / "src").rglob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def unsealed(data: str) -> Path:
    """Folder with the images of the default run's train and val splits, as one Parquet file."""
    folder = SCRATCH / _version() / f"{data}-unsealed"
    if not (folder / "images.parquet").is_file():
        resolution = DATA[data]["prepare.resolution"]
        prepared = prepare_source(data, resolution, folder.with_name(f"{data}-whole"))
        shards = [path for split in ("train", "val") for path in prepared.shards(split)]
        table = pa.concat_tables(pq.read_table(path) for path in shards)
        folder.mkdir(parents=True, exist_ok=True)
        with atomic_file(folder / "images.parquet") as temporary:
            pq.write_table(table.select(["image", "label", "group_id"]), temporary)
    return folder


def _stage(
    name: str, folder: Path, changes: Mapping[str, Any], result: Path, **places: Path
) -> None:
    """Run a stage's script with params of its own, unless its result is there."""
    if result.exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    params = folder / "params.yaml"
    shutil.copyfile(ROOT / "params.yaml", params)
    change_params(params, changes)
    given = [part for key, path in places.items() for part in (f"--{key}", str(path))]
    command = [sys.executable, "-m", f"pipeline.{name}", *given, "--params", str(params)]
    subprocess.run(command, check=True, cwd=ROOT, env=os.environ | code_first(ROOT / "src"))


def score(prepared: Prepared, folder: Path) -> tuple[pd.DataFrame, dict[str, Any]]:
    """What the best recipes, by val, say of the held-out images.

    Returns:
        Predictions: network, recipe (`BEST`, one of `WITHOUT_NAMES`, or a pool), repetition,
        image_id, group_id, label, predicted; and facts: classes, num_real, num_synthetic, recipes
        (name by network and role).
    """
    setting = classifier_setting(prepared, load_params(PARAMS).evaluate, seed=0)
    parts, made_by = _read(prepared, folder)
    of_pool = {pool: np.isin(made_by, pools) for pool, pools in TOGETHER.items()}
    found: list[pd.DataFrame] = []
    recipes: dict[str, dict[str, str]] = {net: {} for net in NETWORKS}
    for net in NETWORKS:
        trial = partial(_try, net, setting=setting)
        bases = WITHOUT if net == "cnn" else WITHOUT[:1]
        every = _sets(net, parts, setting)
        pools: dict[str, Sets] = {pool: _only(every, rows) for pool, rows in of_pool.items()}
        if net == "linear":
            pools[SMOTE_NAME] = _oversampled(pools[BOTH])
        runs, best = trial(pools[BOTH], bases)
        asked = [(BEST, best, runs), *zip(WITHOUT_NAMES, bases, [runs] * len(bases), strict=False)]
        mixed = [replace(best, share=share, by_need=need) for share, need in SHARES]
        for pool, sets in pools.items():
            runs, chosen = trial(sets, mixed)
            asked.append((pool, chosen, runs))
        recipes[net] = {role: recipe.name for role, recipe, _ in asked}
        found += [
            _predictions(runs, r, parts["test"]).assign(recipe=role) for role, r, runs in asked
        ]
    facts = {
        "classes": list(prepared.classes),
        "num_real": prepared.counts["train"],
        "num_synthetic": {pool: int(rows.sum()) for pool, rows in of_pool.items()},
        "recipes": recipes,
    }
    return pd.concat(found, ignore_index=True), facts


def _try(
    net: str, sets: Sets, candidates: Sequence[Recipe], *, setting: Setting
) -> tuple[pd.DataFrame, Recipe]:
    """Train the candidates; return all runs, and the recipe that is best on val."""
    runs = [
        Run(net, recipe, number, ("val", "test"))
        for recipe in candidates
        for number in range(REPETITIONS)
    ]
    map_tasks = partial(map_unordered, num_workers=joblib.cpu_count())
    scored = score_runs(runs, {net: sets}, setting=setting, map_tasks=map_tasks)
    on_val = scored[scored["split"] == "val"].groupby("recipe")["macro_f1"].mean()
    return scored, max(candidates, key=lambda recipe: on_val[recipe.name])


def _read(prepared: Prepared, folder: Path) -> tuple[Parts, NDArray[np.str_]]:
    """All parts, the synthetic images of all pools together, and the pool of each."""
    found = []
    for pool in POOLS:
        scratch = folder / pool / "arrays"
        scratch.mkdir(exist_ok=True)
        found.append(read_parts(prepared, folder / pool / "synthetic", scratch=scratch))
    synthetic = [parts["synthetic"] for parts in found]
    images = np.concatenate([part.data.images for part in synthetic])
    labels = np.concatenate([part.data.labels for part in synthetic])
    rows, all_rows = (
        pd.concat([getattr(part, which) for part in synthetic]) for which in ("rows", "all_rows")
    )
    together = Part(rows, LabelledImages(images, labels), all_rows)
    made_by = np.repeat(list(POOLS), [len(part.data.labels) for part in synthetic])
    return {**found[0], "synthetic": together}, made_by


def _only(sets: Sets, rows: NDArray[np.bool_]) -> Sets:
    """With these of the synthetic images."""
    own = sets["synthetic"]
    return {**sets, "synthetic": LabelledImages(own.images[rows], own.labels[rows])}


def _sets(net: str, parts: Parts, setting: Setting) -> dict[str, LabelledImages]:
    """What a network trains on."""
    images = {name: part.data for name, part in parts.items()}
    if net == "linear":
        extractor = ImageNetFeatures(resolution=FEATURE_RESOLUTION)
        return view_sets(images, extractor, setting.augmentation(setting.seed))
    return images


def _oversampled(views: Sets) -> Sets:
    """Synthetic features: between neighbours of a class, until classes are equal (SMOTE, Chawla et
    al. 2002, doi:10.1613/jair.953).
    """
    x, y = views["train"].images[:, 0], views["train"].labels
    neighbours = min(5, int(np.bincount(y).min()) - 1)
    if neighbours == 0:
        return {**views, "synthetic": LabelledImages(x[:0, None], y[:0])}
    every, labels = SMOTE(k_neighbors=neighbours, random_state=0).fit_resample(x, y)
    return {**views, "synthetic": LabelledImages(every[len(x) :, None], labels[len(y) :])}


def _predictions(runs: pd.DataFrame, recipe: Recipe, test: Part) -> pd.DataFrame:
    """What the classifiers of a recipe say of each held-out image."""
    own = runs[(runs["split"] == "test") & (runs["recipe"] == recipe.name)]
    images = test.rows[["image_id", "group_id"]].assign(label=test.data.labels)
    said = np.concatenate([probabilities.argmax(axis=1) for probabilities in own["probabilities"]])
    return own[["network", "repetition"]].merge(images, how="cross").assign(predicted=said)


def write_table() -> None:
    """Put what has been measured so far into docs/arena.md, between its marks."""
    rows = chain.from_iterable(map(_rows, CELLS))
    put_table(as_markdown([HEADS, *rows]), "arena", PAGE)


def _rows(cell: str) -> Iterator[tuple[str, ...]]:
    """A row a network, of the folds that have been run."""
    files = sorted(RESULTS.glob(f"{cell}-?.json"))
    if not files:
        return
    facts = [read_json(file) for file in files]
    said = pd.concat([pd.read_parquet(file.with_suffix(".parquet")) for file in files])
    classes = facts[0]["classes"]
    counts = {name: min(own["num_real"][name] for own in facts) for name in classes}
    rare = [name for name in classes if counts[name] < RARE * max(counts.values())]
    hours = sum(own["seconds"] for own in facts) / 3600
    for net in NETWORKS:
        own = said[said["network"] == net]
        against = dict.fromkeys((BEST, "paste"), "balanced")
        against |= dict.fromkeys((*TOGETHER, SMOTE_NAME), BEST)
        deltas = {
            role: changes(own, (other, other, role), classes, confidence=0.9, seed=0)
            for role, other in against.items()
            if role in set(own["recipe"])
        }
        yield (
            cell,
            net,
            str(len(files)),
            f"{100 * _macro_f1(own[own['recipe'] == 'balanced']):.1f}",
            *(change_cell(deltas[role]["uplift"]) if role in deltas else "-" for role in against),
            *(_recall(deltas[pool]["recall_change_pp"], rare) for pool in TOGETHER),
            f"{hours:.1f}",
        )


def _macro_f1(said: pd.DataFrame) -> float:
    """Of the held-out images of all folds together, the mean over repetitions."""
    scores = [
        f1_score(part["label"], part["predicted"], average="macro", zero_division=0)
        for _, part in said.groupby("repetition")
    ]
    return float(np.mean(scores))


def _recall(changed: Mapping[str, Mapping[str, float | None]], rare: Sequence[str]) -> str:
    """Mean change of the recall of the rare classes, in percentage points."""
    own = [changed[name]["mean_pp"] for name in rare]
    return points(float(np.mean([mean for mean in own if mean is not None]))) if own else "none"


if __name__ == "__main__":
    if sys.argv[1:] == ["table"]:
        run(write_table)
    else:
        small = sys.argv[1:] == ["small"]
        cells = SMALL if small else sys.argv[1:] or CELLS
        run(partial(main, cells, [0] if small else range(NUM_FOLDS)))
