"""Figures of the report as PNG bytes, in a light and a dark theme; the same input, the same bytes.

Drawn on matplotlib's objects, without pyplot, so that nothing global is kept or changed.
"""

import io
from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from ganaug.images import Pixels

MOSAIC_DPI = 100
CHART_DPI = 160
TILE_PIXELS = 128  # images are magnified, or reduced, by whole factors to about this side


class Theme(NamedTuple):
    """Colours of a figure; they follow those of report.css."""

    name: str
    ink: str
    muted: str
    line: str
    paper: str
    series: tuple[str, ...]  # told apart by people with any colour vision


LIGHT = Theme(
    "light",
    "#1d232a",
    "#57606a",
    "#e3e7eb",
    "#ffffff",
    ("#1f5f99", "#c2570c", "#5b6670", "#9a7d0a", "#7b4a9e", "#2a8577"),
)
DARK = Theme(
    "dark",
    "#e4e8ec",
    "#9aa5b1",
    "#2c343d",
    "#161b21",
    ("#74b3ea", "#f0995a", "#a9b4be", "#d9bd4b", "#bd96dc", "#6cc9ba"),
)
THEMES = (LIGHT, DARK)


class Interval(NamedTuple):
    """A paired difference in percentage points."""

    name: str
    mean: float
    low: float
    high: float


def mosaic(
    blocks: Mapping[str, Sequence[Pixels]], *, columns: int, title: str, theme: Theme
) -> bytes:
    """Blocks of images side by side under a title, magnified without blurring a pixel.

    Args:
        blocks: images [H, W, C] uint8 of one shape by the block's heading.
        columns: images a row in each block.
        title: above all.
        theme: colours.
    """
    background = np.array(mpl.colors.to_rgb(theme.paper)) * 255
    parts = [_tiles(images, columns, background) for images in blocks.values()]
    height, widths = max(part.shape[0] for part in parts), [part.shape[1] for part in parts]
    margin, head, between = 8, 84, 40
    width = sum(widths) + between * (len(parts) - 1) + 2 * margin
    size = (width / MOSAIC_DPI, (height + head + margin) / MOSAIC_DPI)
    figure = Figure(figsize=size, dpi=MOSAIC_DPI, facecolor=theme.paper)
    text: dict[str, Any] = {"color": theme.ink, "fontfamily": "DejaVu Sans", "va": "top"}
    total, left = height + head + margin, margin
    figure.text(left / width, 1 - 6 / total, _plain(title), fontsize=20, fontweight="bold", **text)
    for heading, part in zip(blocks, parts, strict=True):
        figure.text(left / width, 1 - 46 / total, heading, fontsize=17, **text)
        figure.figimage(part, left, margin + height - part.shape[0], origin="upper")
        left += part.shape[1] + between
    return _png(figure, MOSAIC_DPI)


def _tiles(images: Sequence[Pixels], columns: int, background: np.ndarray) -> Pixels:
    """Images in rows with a gap of 6 px, as one [H, W, 3] array."""
    gap, tiles = 6, [_magnified(image) for image in images]
    height, width = tiles[0].shape[:2] if tiles else (TILE_PIXELS, TILE_PIXELS)
    rows = max(1, -(-len(tiles) // columns))
    shape = (rows * (height + gap) - gap, columns * (width + gap) - gap, 3)
    canvas = np.broadcast_to(background.round().astype(np.uint8), shape).copy()
    for index, tile in enumerate(tiles):
        row, column = divmod(index, columns)
        top, left = row * (height + gap), column * (width + gap)
        canvas[top : top + height, left : left + width] = tile
    return canvas


def _magnified(image: Pixels) -> Pixels:
    """[H, W, 3], each pixel a square; images too large are reduced by block means."""
    side = image.shape[0]
    if side > TILE_PIXELS:
        flat = Image.fromarray(image.squeeze()).reduce(side // TILE_PIXELS)
        return np.asarray(flat.convert("RGB"))
    factor = TILE_PIXELS // side
    rgb = np.broadcast_to(image, (*image.shape[:2], 3))  # grey: three times the same
    return rgb.repeat(factor, axis=0).repeat(factor, axis=1)


def training_curves(losses: Mapping[str, pd.Series], kid: pd.Series, *, theme: Theme) -> bytes:
    """Losses and, below, KID on val, over real images shown to the discriminator.

    Args:
        losses: by name, indexed by images seen.
        kid: the same for KID; lower is better, 0 is perfect.
        theme: colours.
    """
    figure = _figure((4.6, 4.8), theme)
    above, below = figure.subplots(2, 1, sharex=True)
    for (name, values), colour in zip(losses.items(), theme.series, strict=False):
        above.plot(values.index / 1000, values, label=name, color=colour, linewidth=1.2)
    _legend(above, theme, loc="lower right", bbox_to_anchor=(1, 1), borderaxespad=0.2)
    below.plot(kid.index / 1000, kid, color=theme.series[0], marker="o", markersize=4)
    below.axhline(0, color=theme.muted, linewidth=0.8)
    below.set_xlabel("thousands of real images seen")
    _style(above, theme, title="Loss")
    _style(below, theme, title="KID on val, lower is better")
    return _png(figure, CHART_DPI)


def uplift_chart(intervals: Sequence[Interval], *, margin_pp: float, theme: Theme) -> bytes:
    """Paired differences of macro-F1 with their intervals, the zero line and the harm margin."""
    figure = _figure((4.6, 0.8 + 0.55 * len(intervals)), theme)
    axes = figure.subplots()
    axes.axvline(0, color=theme.ink, linewidth=1)
    axes.axvline(-margin_pp, color=theme.series[1], linewidth=1, linestyle=(0, (4, 3)))
    for row, (_, mean, low, high) in enumerate(intervals):
        axes.plot([low, high], [row, row], color=theme.series[0], linewidth=3, alpha=0.55)
        axes.plot(mean, row, color=theme.series[0], marker="o", markersize=8)
        axes.text(mean, row - 0.18, f"{mean:+.1f}", color=theme.ink, fontsize=9, ha="center")
    axes.set_yticks(range(len(intervals)), [interval.name for interval in intervals])
    axes.set_ylim(len(intervals) - 0.5, -0.6)
    axes.margins(x=0.08)
    axes.set_xlabel("percentage points of macro-F1; dashed: the margin of harm")
    _style(axes, theme, grid="x")
    return _png(figure, CHART_DPI)


def learning_curve(scores: pd.DataFrame, *, theme: Theme) -> bytes:
    """Lines over the number of real training images.

    Args:
        scores: macro-F1 in percent, a column a line, indexed by real images.
        theme: colours.
    """
    figure = _figure((4.6, 3.4), theme)
    axes = figure.subplots()
    for (name, values), colour in zip(scores.items(), theme.series, strict=False):
        axes.plot(values.index, values, label=name, color=colour, marker="o", markersize=4)
    axes.set_xscale("log")
    axes.set_xticks(scores.index, [f"{number:,}" for number in scores.index])
    axes.minorticks_off()
    axes.set_xlabel("real training images")
    _legend(axes, theme, loc="lower right", bbox_to_anchor=(1, 1), borderaxespad=0.2)
    _style(axes, theme)
    return _png(figure, CHART_DPI)


def reject_chart(drawn: Mapping[str, Mapping[str, int]], *, theme: Theme) -> bytes:
    """Bars of the drawn images per class: kept, and dropped by reason.

    Args:
        drawn: {class: {"kept" or reason: images}}, every class with the same keys.
        theme: colours.
    """
    figure = _figure((4.6, 1.1 + 0.42 * len(drawn)), theme)
    axes = figure.subplots()
    table = pd.DataFrame({_plain(name): facts for name, facts in drawn.items()}).T
    left = np.zeros(len(table))
    for reason, colour in zip(table.columns, _cycle(theme.series, len(table.columns)), strict=True):
        axes.barh(table.index, table[reason], left=left, label=reason, color=colour, height=0.62)
        left = left + table[reason].to_numpy()
    axes.invert_yaxis()
    axes.set_xlabel("images drawn")
    _legend(axes, theme, loc="lower left", bbox_to_anchor=(0, 1), borderaxespad=0.2)
    _style(axes, theme, grid="x")
    return _png(figure, CHART_DPI)


def _plain(text: str) -> str:
    """Text in which matplotlib sees no formula."""
    return text.replace("$", r"\$")


def _cycle(colours: Sequence[str], number: int) -> list[str]:
    return [colours[index % len(colours)] for index in range(number)]


def _figure(size: tuple[float, float], theme: Theme) -> Figure:
    return Figure(figsize=size, dpi=CHART_DPI, facecolor=theme.paper, layout="constrained")


def _legend(axes: Axes, theme: Theme, **place: Any) -> None:
    axes.legend(
        ncols=3,
        fontsize=8,
        handlelength=1.2,
        columnspacing=1.2,
        frameon=False,
        labelcolor=theme.ink,
        **place,
    )


def _style(
    axes: Axes, theme: Theme, *, title: str = "", grid: Literal["both", "x"] = "both"
) -> None:
    """Quiet axes in the theme's colours."""
    axes.set_facecolor(theme.paper)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set_color(theme.line)
    axes.grid(axis=grid, color=theme.line, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.tick_params(colors=theme.muted, labelsize=8, length=0)
    axes.set_title(title, loc="left", color=theme.ink, fontsize=10)
    axes.xaxis.label.set(color=theme.muted, fontsize=9)


def _png(figure: Figure, dpi: int) -> bytes:
    """PNG without date or version, so that equal figures give equal bytes."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=dpi, metadata={"Software": None})
    return buffer.getvalue()
