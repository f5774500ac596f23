"""The figures of the report, with alternative text."""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from ganaug.preparing.prepared import Prepared
from ganaug.reporting.figures import mosaic, reject_chart, training_curves, uplift_chart
from ganaug.reporting.pictures import Shards, examples_by_class, read_origins, read_pairs

EXAMPLES = 12  # a class and source
MOST_CLASSES = 16  # whose examples are shown
COLUMNS = 4  # of a mosaic
ORIGINS = 6  # images of a class beside what they were made from

Picture = dict[str, Any]  # alt, width, height, png


def draw_picture(folder: Path, name: str, png: bytes, *, alt: str) -> Picture:
    """A figure, also written to `folder`."""
    path = folder / f"{name}.png"
    path.write_bytes(png)
    with Image.open(path) as image:
        width, height = image.size
    return {"alt": alt, "width": width, "height": height, "png": png}


def draw_charts(
    folder: Path,
    *,
    verdict: Mapping[str, Any],
    losses: pd.DataFrame,
    kid: pd.Series,
    drawn: pd.DataFrame,
) -> dict[str, Picture]:
    """Both answers of each network, the training, and the fates of the drawn images."""
    answers = {"synthetic images": "uplift", "best without, over plain": "plain_gain"}
    deltas = {
        f"{words}, {net}": facts[key]
        for net, facts in verdict["networks"].items()
        for words, key in answers.items()
        if facts[key] is not None
    }
    changes = "; ".join(
        "{}: {mean_pp:+.1f} points, interval {low_pp:+.1f} to {high_pp:+.1f}".format(name, **delta)
        for name, delta in deltas.items()
    )
    ends = ", ".join(f"{name} {value:.2f}" for name, value in losses.iloc[-1].items())
    uplift = uplift_chart(deltas, margin_pp=verdict["rule"]["harm_margin_pp"])
    training_alt = (
        f"Losses over real images seen, ending at {ends}; KID on val from {kid.iloc[0]:.4f} to "
        f"{kid.iloc[-1]:.4f}."
    )
    rejects_alt = (
        "Bars of the images drawn per class: kept, and dropped by reason, as in the table."
    )
    draw = partial(draw_picture, folder)
    return {
        "uplift": draw("uplift", uplift, alt=f"Change of macro-F1. {changes}."),
        "training": draw("training", training_curves(losses, kid), alt=training_alt),
        "rejects": draw("rejects", reject_chart(drawn), alt=rejects_alt),
    }


def draw_pairs(
    folder: Path, pairs: Sequence[Mapping[str, Any]], synthetic: Shards, real: Shards
) -> Picture | None:
    """The synthetic images nearest to a real one, beside it; None when there is no synthetic."""
    if not pairs:
        return None
    tiles = [np.concatenate(pair, axis=1) for pair in read_pairs(pairs, synthetic, real)]
    blocks = {"left synthetic, right its nearest real image, flipped to match": tiles}
    return draw_picture(
        folder,
        "closest-pairs",
        mosaic(blocks, columns=COLUMNS, title="Closest pairs"),
        alt=f"{len(pairs)} synthetic images, each left of the real image nearest to it, at "
        f"distances from {pairs[0]['distance']:.3g} to {pairs[-1]['distance']:.3g}.",
    )


def draw_examples(folder: Path, dataset: Prepared, synthetic: Shards) -> list[Picture]:
    """One figure a class: real images beside synthetic ones."""
    names = dataset.classes[:MOST_CLASSES]
    real = examples_by_class(dataset.shards("train"), len(names), number=EXAMPLES)
    drawn = examples_by_class(synthetic, len(names), number=EXAMPLES)
    pictures = []
    for label, (name, left, right) in enumerate(zip(names, real, drawn, strict=True)):
        blocks = {"real": left, "synthetic" if right else "synthetic: none kept": right}
        words = f"{len(right)} synthetic right" if right else "no synthetic one was kept"
        png = mosaic(blocks, columns=COLUMNS, title=name)
        alt = f"{name}: {len(left)} real images left, {words}"
        pictures.append(draw_picture(folder, f"examples-{label:02d}", png, alt=alt))
    return pictures


def draw_origins(folder: Path, dataset: Prepared, synthetic: Shards) -> list[Picture]:
    """One figure a class that has images made from real ones of other classes."""
    names, shards = dataset.classes[:MOST_CLASSES], dataset.shards("train")
    origins = read_origins(synthetic, shards, len(names), number=ORIGINS)
    pictures = []
    for label, (name, pairs) in enumerate(zip(names, origins, strict=True)):
        if not pairs:
            continue
        real, became = (list(side) for side in zip(*pairs, strict=True))
        changes = [np.abs(new.astype(int) - old).astype(np.uint8) for old, new in pairs]
        blocks = {"real, of another class": real, "synthetic": became, "difference": changes}
        png = mosaic(blocks, columns=ORIGINS // 2, title=name)
        alt = f"{name}: {len(pairs)} real images of other classes, what was made of them, and the "
        pictures.append(draw_picture(folder, f"origins-{label:02d}", png, alt=f"{alt}difference"))
    return pictures
