"""Every figure of the report in both themes, with the words for those who can't see it."""

import base64
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from ganaug.preparing.prepared import Prepared
from ganaug.reporting.figures import (
    LIGHT,
    THEMES,
    Interval,
    learning_curve,
    mosaic,
    reject_chart,
    training_curves,
    uplift_chart,
)
from ganaug.reporting.pictures import Pair, examples_by_class

EXAMPLES = 12  # a class and source
MOST_CLASSES = 16  # whose examples are shown

Picture = dict[str, Any]  # alt, width, height, and data URIs: light and dark


def _picture(folder: Path, name: str, draw: Callable[..., bytes], *, alt: str) -> Picture:
    """Draw a figure in both themes; the light one is also written to `folder`."""
    drawn = {theme.name: draw(theme=theme) for theme in THEMES}
    path = folder / f"{name}.png"
    path.write_bytes(drawn[LIGHT.name])
    with Image.open(path) as image:
        width, height = image.size
    uris = {
        theme: f"data:image/png;base64,{base64.b64encode(content).decode()}"
        for theme, content in drawn.items()
    }
    return {"alt": alt, "width": width, "height": height, **uris}


def uplift_picture(folder: Path, verdict: Mapping[str, Any]) -> Picture:
    """Each comparison's mean and interval."""
    intervals = [
        Interval(f"{arms}, {kind}", facts["mean_pp"], facts["low_pp"], facts["high_pp"])
        for kind, uplift in (("CNN", verdict["uplift"]), ("linear", verdict["linear"]["uplift"]))
        for arms, facts in uplift.items()
    ]
    words = "; ".join(
        f"{name}: {mean:+.1f} points, interval {low:+.1f} to {high:+.1f}"
        for name, mean, low, high in intervals
    )
    return _picture(
        folder,
        "uplift",
        partial(uplift_chart, intervals, margin_pp=verdict["rule"]["harm_margin_pp"]),
        alt=f"Change of macro-F1. {words}.",
    )


def curve_picture(folder: Path, curve: Sequence[Mapping[str, Any]]) -> Picture | None:
    """Macro-F1 of each arm over the number of real images; None where it was measured at one."""
    if not curve:
        return None
    scores = pd.DataFrame(
        {
            f"{arm}, {kind}": [100 * point["networks"][network]["arms"][arm] for point in curve]
            for network, kind in (("cnn", "CNN"), ("linear", "linear"))
            for arm in curve[0]["networks"][network]["arms"]
        },
        index=[point["num_real"] for point in curve],
    )
    ends = "; ".join(
        f"{name}: {own.iloc[0]:.1f} to {own.iloc[-1]:.1f}" for name, own in scores.items()
    )
    return _picture(
        folder,
        "learning-curve",
        partial(learning_curve, scores),
        alt=f"Macro-F1 in percent, {scores.index[0]} to {scores.index[-1]} real images. {ends}.",
    )


def training_picture(folder: Path, losses: pd.DataFrame, kid: pd.Series) -> Picture:
    """Losses and KID over images seen."""
    ends = ", ".join(f"{name} {value:.2f}" for name, value in losses.iloc[-1].items())
    return _picture(
        folder,
        "training",
        partial(training_curves, losses, kid),
        alt=f"Losses over real images seen, ending at {ends}; KID on val from {kid.iloc[0]:.4f} "
        f"to {kid.iloc[-1]:.4f}.",
    )


def reject_picture(folder: Path, drawn: Mapping[str, Mapping[str, int]]) -> Picture:
    """Drawn images by class: kept, and dropped by reason."""
    return _picture(
        folder,
        "rejects",
        partial(reject_chart, drawn),
        alt="Bars of the images drawn per class: kept, and dropped by reason, as in the table.",
    )


def pairs_picture(folder: Path, pairs: Sequence[Pair]) -> Picture | None:
    """The synthetic images nearest to a real one, beside it; None when there is no synthetic."""
    if not pairs:
        return None
    tiles = [np.concatenate([pair.synthetic, pair.real], axis=1) for pair in pairs]
    blocks = {"left synthetic, right its nearest real image": tiles}
    return _picture(
        folder,
        "closest-pairs",
        partial(mosaic, blocks, columns=4, title="Closest pairs"),
        alt=f"{len(pairs)} synthetic images, each left of the real image nearest to it, at "
        f"distances from {pairs[0].distance:.3g} to {pairs[-1].distance:.3g}.",
    )


def example_pictures(folder: Path, dataset: Prepared, synthetic: Sequence[Path]) -> list[Picture]:
    """One figure a class: real images beside synthetic ones."""
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
                partial(mosaic, blocks, columns=4, title=name),
                alt=f"{name}: {len(left)} real images left, {words}",
            )
        )
    return pictures
