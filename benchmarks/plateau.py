"""Do the classifiers of `evaluate` train long enough? Macro-F1 on val as the steps double.

Trained on real images alone, classes drawn equally often, classical augmentation: the recipe that
synthetic images have to beat. Test is not opened. `python -m benchmarks.plateau digits-cnn` asks
one network on one dataset.
"""

import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import joblib
import numpy as np
import pandas as pd

from benchmarks.quality import PARAMS, prepare_source
from ganaug.config import load_params
from ganaug.downstream import runs
from ganaug.downstream.recipes import TEACHER
from ganaug.downstream.runs import NETWORKS, Run, Sets, score_runs
from ganaug.downstream.setting import Setting
from ganaug.parallel import map_unordered
from ganaug.preparing.prepared import Prepared
from ganaug.quality.parts import LabelledImages
from ganaug.shards import read_labelled
from ganaug.verdict.evaluate import classifier_setting

FACTORS = (1, 2)
REPETITIONS = {"cnn": 30, "efficientnet": 6}  # the difference of two CNNs spreads by 2.5 pp
ALLOWED_PP = 0.5  # change of macro-F1 when the steps double
SOURCES = {"elpv": 64, "digits": 16}  # px
AS_SHIPPED = {net: NETWORKS[net].num_steps for net in REPETITIONS}  # None: evaluate.num_steps


def main(cases: Sequence[str] = ()) -> None:
    """Print macro-F1 on val and seconds a classifier, for each number of steps."""
    with tempfile.TemporaryDirectory() as folder:
        prepared = {
            source: prepare_source(source, resolution, Path(folder) / source)
            for source, resolution in SOURCES.items()
        }
        for net, number in REPETITIONS.items():
            for source, dataset in prepared.items():
                if not cases or f"{source}-{net}" in cases:
                    _print_curve(f"{source}, {net}", net, number, dataset)


def _print_curve(title: str, net: str, repetitions: int, dataset: Prepared) -> None:
    params = load_params(PARAMS).evaluate
    sets, setting = _real_sets(dataset), classifier_setting(dataset, params, seed=0)
    steps = [round(factor * (AS_SHIPPED[net] or setting.num_steps)) for factor in FACTORS]
    tasks = [(number, repetition) for number in steps for repetition in range(repetitions)]
    done = map_unordered(partial(_train, net, sets, setting), tasks, num_workers=joblib.cpu_count())
    found = pd.DataFrame(done, columns=["steps", "repetition", "score", "seconds"])
    scores = found.pivot(index="repetition", columns="steps", values="score")
    seconds = found.groupby("steps")["seconds"].mean()
    for number in steps:
        error = scores[number].std() / np.sqrt(repetitions)
        print(
            f"{title}: {number} steps: macro-F1 on val {scores[number].mean():.2f} +- {error:.2f}, "
            f"{seconds[number]:.0f} s a classifier on one core",
            flush=True,
        )
    change = scores[steps[1]] - scores[steps[0]]
    error = change.std() / np.sqrt(repetitions)
    print(
        f"{title}: twice as many steps as now change it by {change.mean():+.2f} +- {error:.2f} pp "
        f"(at most {ALLOWED_PP} to reach)",
        flush=True,
    )


def _real_sets(dataset: Prepared) -> Sets:
    """Train and val, and no synthetic images."""
    sets = {}
    for split in ("train", "val"):
        _, images, labels = read_labelled(dataset.shards(split))
        sets[split] = LabelledImages(images, labels)
    return sets | {"synthetic": LabelledImages(images[:0], labels[:0])}


def _train(
    net: str, sets: Sets, setting: Setting, task: tuple[int, int]
) -> tuple[int, int, float, float]:
    """Steps and repetition of one classifier, its macro-F1 on val in percent, and seconds."""
    num_steps, repetition = task
    runs.NETWORKS[net] = replace(NETWORKS[net], num_steps=num_steps)
    run = Run(net, TEACHER, repetition, ("val",))
    scored = score_runs([run], {net: sets}, setting=setting).iloc[0]
    return *task, 100 * float(scored["macro_f1"]), float(scored["seconds"])


if __name__ == "__main__":
    main(sys.argv[1:])
