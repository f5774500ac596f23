"""Figures of the report as PNG; the same input gives the same bytes.

Drawn with matplotlib's objects, without pyplot and its global state.
"""

import io
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Literal, NamedTuple

import matplotlib as mpl
import numpy as np
import pandas as pd
from cycler import cycler
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image, ImageColor

from ganaug.images import Pixels, tile

MOSAIC_DPI = 100
CHART_DPI = 160
TILE_PIXELS = 128  # scale images by whole factors to about this side


# Colours, as in report.css; people with any colour vision can tell the series apart.
INK, MUTED, LINE, PAPER = "#1d232a", "#57606a", "#e3e7eb", "#ffffff"
SERIES = ("#1f5f99", "#c2570c", "#5b6670", "#9a7d0a", "#7b4a9e", "#2a8577")


class Interval(NamedTuple):
    """A paired difference in percentage points."""

    name: str
    mean: float
    low: float
    high: float


def mosaic(blocks: Mapping[str, Sequence[Pixels]], *, columns: int, title: str) -> bytes:
    """Draw blocks of images side by side under a title, magnified without blur.

    Args:
        blocks: images [H, W, C] uint8 of one shape by the block's heading.
        columns: images per row of a block.
        title: of the whole figure.
    """
    background = np.array(ImageColor.getrgb(PAPER), np.uint8)
    parts = [_tiles(images, columns, background) for images in blocks.values()]
    height, widths = max(part.shape[0] for part in parts), [part.shape[1] for part in parts]
    margin, head, between = 8, 84, 40
    width = sum(widths) + between * (len(parts) - 1) + 2 * margin
    total, left = height + head + margin, margin
    with _look():
        figure = Figure(figsize=(width / MOSAIC_DPI, total / MOSAIC_DPI), dpi=MOSAIC_DPI)
        place: dict[str, Any] = {"fontfamily": "DejaVu Sans", "va": "top"}
        figure.text(left / width, 1 - 6 / total, title, fontsize=20, fontweight="bold", **place)
        for heading, part in zip(blocks, parts, strict=True):
            figure.text(left / width, 1 - 46 / total, heading, fontsize=17, **place)
            figure.figimage(part, left, margin + height - part.shape[0], origin="upper")
            left += part.shape[1] + between
        return _png(figure)


def _tiles(images: Sequence[Pixels], columns: int, background: Pixels) -> Pixels:
    """Images in rows with a gap of 6 px, as one [H, W, 3] array."""
    gap, tiles = 6, [_magnified(image) for image in images]
    height, width = tiles[0].shape[:2] if tiles else (TILE_PIXELS, TILE_PIXELS)
    num_cells = max(1, -(-len(tiles) // columns)) * columns
    cells = np.tile(background, (num_cells, height + gap, width + gap, 1))
    for cell, image in zip(cells, tiles, strict=False):
        cell[:height, :width] = image
    return tile(cells, columns=columns)[:-gap, :-gap]


def _magnified(image: Pixels) -> Pixels:
    """[H, W, 3], each pixel a square; images too large are reduced by block means."""
    picture, side = Image.fromarray(image.squeeze()).convert("RGB"), image.shape[0]
    if side > TILE_PIXELS:
        return np.asarray(picture.reduce(side // TILE_PIXELS))
    factor = TILE_PIXELS // side
    return np.asarray(picture).repeat(factor, axis=0).repeat(factor, axis=1)


def training_curves(
    losses: pd.DataFrame,
    kid: pd.Series,
) -> bytes:
    """Losses and, below, KID on val, over real images shown to the discriminator.

    Args:
        losses: a column each, indexed by images seen.
        kid: the same for KID; lower is better, 0 is perfect.
    """
    with _look():
        figure = Figure((4.6, 4.8))
        above, below = figure.subplots(2, 1, sharex=True)
        above.plot(losses.index / 1000, losses, label=losses.columns, linewidth=1.2)
        above.set_title("Loss")
        _legend_above(above)
        below.plot(kid.index / 1000, kid, marker="o")
        below.axhline(0, color=MUTED, linewidth=0.8)
        below.set_title("KID on val, lower is better")
        below.set_xlabel("thousands of real images seen")
        return _png(figure)


def uplift_chart(intervals: Sequence[Interval], *, margin_pp: float) -> bytes:
    """Paired differences of macro-F1 with their intervals, the zero line and the harm margin."""
    names, means, lows, highs = zip(*intervals, strict=True)
    rows = range(len(intervals))
    with _look():
        figure = Figure((4.6, 0.8 + 0.4 * len(intervals)))
        axes = figure.subplots()
        axes.axvline(0, color=INK, linewidth=1)
        axes.axvline(-margin_pp, color=SERIES[1], linewidth=1, linestyle=(0, (4, 3)))
        axes.hlines(rows, lows, highs, color=SERIES[0], linewidth=3, alpha=0.55)
        axes.plot(means, rows, "o", color=SERIES[0], markersize=8)
        for row, mean in enumerate(means):  # outside the axes, so that no line crosses it
            place = axes.get_yaxis_transform()
            axes.text(1.02, row, f"{mean:+.1f}", transform=place, fontsize=9, va="center")
        axes.set_yticks(rows, names)
        axes.set_ylim(len(intervals) - 0.5, -0.5)
        axes.grid(visible=False, axis="y")
        axes.set_xlabel("points of macro-F1; dashed: margin of harm")
        return _png(figure)


def reject_chart(
    drawn: Mapping[str, Mapping[str, int]],
) -> bytes:
    """Bars of the drawn images per class: kept, and dropped by reason.

    Args:
        drawn: {class: {"kept" or reason: images}}, every class with the same keys.
    """
    table = pd.DataFrame.from_dict(dict(drawn), orient="index")
    lefts = table.cumsum(axis=1) - table
    with _look():
        figure = Figure((4.6, 1.1 + 0.42 * len(drawn)))
        axes = figure.subplots()
        for reason in table.columns:
            axes.barh(table.index, table[reason], left=lefts[reason], label=reason, height=0.62)
        axes.invert_yaxis()
        axes.grid(visible=False, axis="y")
        axes.set_xlabel("images drawn")
        _legend_above(axes, left=True)
        return _png(figure)


def _legend_above(axes: Axes, *, left: bool = False) -> None:
    loc: Literal["lower left", "lower right"] = "lower left" if left else "lower right"
    axes.legend(ncols=3, loc=loc, bbox_to_anchor=(0 if left else 1, 1), borderaxespad=0.2)


def _look() -> AbstractContextManager[None]:
    """Quiet axes as long as the context lasts."""
    ticks = {"color": MUTED, "labelsize": 8, "major.size": 0, "minor.size": 0}
    settings: dict[Any, Any] = {
        "axes.axisbelow": True,
        "axes.edgecolor": LINE,
        "axes.facecolor": PAPER,
        "axes.grid": True,
        "axes.labelcolor": MUTED,
        "axes.labelsize": 9,
        "axes.prop_cycle": cycler(color=SERIES),
        **{f"axes.spines.{side}": False for side in ("left", "right", "top")},
        "axes.titlelocation": "left",
        "axes.titlesize": 10,
        "figure.constrained_layout.use": True,
        "figure.dpi": CHART_DPI,
        "figure.facecolor": PAPER,
        "grid.color": LINE,
        "grid.linewidth": 0.6,
        "legend.columnspacing": 1.2,
        "legend.fontsize": 8,
        "legend.frameon": False,
        "legend.handlelength": 1.2,
        "lines.markersize": 4,
        "text.color": INK,
        "text.parse_math": False,  # class names are not formulas
        **{f"{axis}tick.{name}": value for axis in "xy" for name, value in ticks.items()},
    }
    return mpl.rc_context(settings)


def _png(figure: Figure) -> bytes:
    """PNG without date or version, so that equal figures give equal bytes."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi="figure", metadata={"Software": None})
    return buffer.getvalue()
