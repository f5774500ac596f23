"""The figures of the report, with alternative text."""

import base64
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from ganaug.preparing.prepared import Prepared
from ganaug.reporting.figures import (
    Interval,
    mosaic,
    reject_chart,
    training_curves,
    uplift_chart,
)
from ganaug.reporting.pictures import Pair, examples_by_class

EXAMPLES = 12  # a class and source
MOST_CLASSES = 16  # whose examples are shown

Picture = dict[str, Any]  # alt, width, height, and uri, which holds the PNG


def _picture(folder: Path, name: str, png: bytes, *, alt: str) -> Picture:
    """A figure for the page; also writes it to `folder`."""
    path = folder / f"{name}.png"
    path.write_bytes(png)
    with Image.open(path) as image:
        width, height = image.size
    uri = f"data:image/png;base64,{base64.b64encode(png).decode()}"
    return {"alt": alt, "width": width, "height": height, "uri": uri}


def uplift_picture(folder: Path, verdict: Mapping[str, Any]) -> Picture:
    """For each network, both gains with their intervals."""
    intervals = [
        Interval(f"{words}, {net}", delta["mean_pp"], delta["low_pp"], delta["high_pp"])
        for net, facts in verdict["networks"].items()
        for words, delta in (
            ("synthetic images", facts["uplift"]),
            ("best without, over plain", facts["plain_gain"]),
        )
        if delta is not None
    ]
    words = "; ".join(
        f"{name}: {mean:+.1f} points, interval {low:+.1f} to {high:+.1f}"
        for name, mean, low, high in intervals
    )
    chart = uplift_chart(intervals, margin_pp=verdict["rule"]["harm_margin_pp"])
    return _picture(folder, "uplift", chart, alt=f"Change of macro-F1. {words}.")


def training_picture(folder: Path, losses: pd.DataFrame, kid: pd.Series) -> Picture:
    """Losses and KID over images seen."""
    ends = ", ".join(f"{name} {value:.2f}" for name, value in losses.iloc[-1].items())
    return _picture(
        folder,
        "training",
        training_curves(losses, kid),
        alt=f"Losses over real images seen, ending at {ends}; KID on val from {kid.iloc[0]:.4f} "
        f"to {kid.iloc[-1]:.4f}.",
    )


def reject_picture(folder: Path, drawn: Mapping[str, Mapping[str, int]]) -> Picture:
    """Drawn images by class: kept, and dropped by reason."""
    return _picture(
        folder,
        "rejects",
        reject_chart(drawn),
        alt="Bars of the images drawn per class: kept, and dropped by reason, as in the table.",
    )


def pairs_picture(folder: Path, pairs: Sequence[Pair]) -> Picture | None:
    """The synthetic images closest to a real one, in pairs; None without synthetic images."""
    if not pairs:
        return None
    tiles = [np.concatenate([pair.synthetic, pair.real], axis=1) for pair in pairs]
    blocks = {"left synthetic, right its nearest real image": tiles}
    return _picture(
        folder,
        "closest-pairs",
        mosaic(blocks, columns=4, title="Closest pairs"),
        alt=f"{len(pairs)} synthetic images, each left of the real image nearest to it, at "
        f"distances from {pairs[0].distance:.3g} to {pairs[-1].distance:.3g}.",
    )


def example_pictures(folder: Path, dataset: Prepared, synthetic: Sequence[Path]) -> list[Picture]:
    """One figure per class: real images beside synthetic ones."""
    names = dataset.classes[:MOST_CLASSES]
    real = examples_by_class(dataset.shards("train"), len(names), number=EXAMPLES)
    made = examples_by_class(synthetic, len(names), number=EXAMPLES)
    pictures = []
    for label, (name, left, right) in enumerate(zip(names, real, made, strict=True)):
        blocks = {"real": left, "synthetic" if right else "synthetic: none kept": right}
        words = f"{len(right)} synthetic right" if right else "no synthetic one was kept"
        pictures.append(
            _picture(
                folder,
                f"examples-{label:02d}",
                mosaic(blocks, columns=4, title=name),
                alt=f"{name}: {len(left)} real images left, {words}",
            )
        )
    return pictures
