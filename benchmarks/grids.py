"""`make grids`: one small sample grid for each family and loss on the digits, under docs/grids.

A minute of training each at most: to see that every pair learns, not to rank them. Pairs that the
params refuse are named.
"""

import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.quality import PARAMS, prepare_source, train_for
from ganaug.config import load_params
from ganaug.errors import ParamsError
from ganaug.fileio import write_bytes
from ganaug.gan.architecture import FAMILIES
from ganaug.gan.losses import LOSSES
from ganaug.images import encode_png, tile

OUT = Path("docs/grids")
PER_CLASS = 8
KIMG = 16.0
# What each family and loss needs beside the default recipe.
PENALTIES = {
    "wgan_gp": {"train.r1_gamma": 0.0, "train.r2_gamma": 0.0, "train.gradient_penalty": 10.0}
}
UNPENALISED = {"train.r1_gamma": 0.0, "train.r2_gamma": 0.0}
FAMILY = {
    "r3": {},
    "translator": {},
    "dcgan": UNPENALISED | {"train.lr": 2e-4, "train.generator_lr_ratio": 1.0},
    "mlp": {"train.lr": 2e-4, "train.generator_lr_ratio": 1.0},
    "vae": UNPENALISED | {"train.lr": 1e-3, "train.generator_lr_ratio": 1.0},
}


def main() -> None:
    """Train each pair, write its grid."""
    with tempfile.TemporaryDirectory() as folder:
        dataset = prepare_source("digits", 16, Path(folder) / "digits")
        for family in FAMILIES:
            losses = ("",) if family == "vae" else LOSSES  # it has no adversarial one
            for loss in losses:
                changes: dict[str, Any] = {"train.family": family, "train.kimg": KIMG}
                changes |= FAMILY[family]
                if loss:
                    changes |= {"train.loss": loss} | PENALTIES.get(loss, {})
                name = f"{family}-{loss}".removesuffix("-")
                try:
                    params = load_params(PARAMS, changes)
                except ParamsError as error:
                    print(f"{name}: refused: {error}")
                    continue
                images, labels, seconds = train_for(params, dataset, Path(folder) / "states")
                rows = [images[labels == label][:PER_CLASS] for label in np.unique(labels)]
                grid = tile(np.concatenate(rows), columns=PER_CLASS)
                write_bytes(encode_png(grid), OUT / f"{name}.png")
                print(f"{name}: {seconds:.0f} s", flush=True)


if __name__ == "__main__":
    main()
