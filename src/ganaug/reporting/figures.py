"""Figures of the report as PNG; the same input gives the same bytes.

Drawn with matplotlib's objects, without pyplot and its global state.
"""

import io
from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from PIL import Image, ImageDraw, ImageFont

from ganaug.images import Pixels, encode_png

STYLE = Path(__file__).with_name("figures.mplstyle")
INK, MUTED, PAPER = "#1d232a", "#57606a", "#ffffff"
# Of mosaics, in pixels. Images are magnified, or reduced, by whole factors to about `TILE`.
TILE, GAP, MARGIN, HEAD, BETWEEN = 128, 6, 8, 84, 40


def mosaic(blocks: Mapping[str, Sequence[Pixels]], *, columns: int, title: str) -> bytes:
    """Draw blocks of images side by side under a title, magnified without blur.

    Args:
        blocks: images [H, W, C] uint8 of one shape by the block's heading.
        columns: images per row of a block.
        title: of the whole figure.
    """
    tiles = [[_magnified(image) for image in images] for images in blocks.values()]
    width, height = next((tile.size for own in tiles for tile in own), (TILE, TILE))
    across, down = width + GAP, height + GAP
    block = columns * across - GAP + BETWEEN
    num_rows = max(*(-(-len(own) // columns) for own in tiles), 1)
    size = (2 * MARGIN + len(tiles) * block - BETWEEN, HEAD + num_rows * down - GAP + MARGIN)
    picture = Image.new("RGB", size, PAPER)
    draw, fonts = ImageDraw.Draw(picture), Path(mpl.get_data_path(), "fonts", "ttf")
    draw.text((MARGIN, 6), title, INK, ImageFont.truetype(fonts / "DejaVuSans-Bold.ttf", 28))
    font = ImageFont.truetype(fonts / "DejaVuSans.ttf", 24)
    for number, (heading, own) in enumerate(zip(blocks, tiles, strict=True)):
        left = MARGIN + number * block
        draw.text((left, 46), heading, INK, font)
        for place, tile in enumerate(own):
            row, column = divmod(place, columns)
            picture.paste(tile, (left + column * across, HEAD + row * down))
    return encode_png(np.asarray(picture))


def _magnified(image: Pixels) -> Image.Image:
    """In colour, each pixel a square; images too large are reduced by block means."""
    picture, side = Image.fromarray(image.squeeze()).convert("RGB"), image.shape[0]
    if side > TILE:
        return picture.reduce(side // TILE)
    factor = TILE // side
    size = (picture.width * factor, picture.height * factor)
    return picture.resize(size, Image.Resampling.NEAREST)


@mpl.rc_context(fname=STYLE)
def training_curves(losses: pd.DataFrame, kid: pd.Series) -> bytes:
    """Losses and, below, KID on val, over real images shown to the discriminator.

    Args:
        losses: a column each, indexed by images seen.
        kid: the same for KID; lower is better, 0 is perfect.
    """
    figure = Figure((4.6, 4.8))
    above, below = figure.subplots(2, 1, sharex=True)
    above.plot(losses.index / 1000, losses, label=losses.columns, linewidth=1.2)
    above.set_title("Loss")
    above.legend(ncols=3, loc="lower right", bbox_to_anchor=(1, 1))
    below.plot(kid.index / 1000, kid, marker="o")
    below.axhline(0, color=MUTED, linewidth=0.8)
    below.set_title("KID on val, lower is better")
    below.set_xlabel("thousands of real images seen")
    return _png(figure)


@mpl.rc_context(fname=STYLE)
def uplift_chart(deltas: Mapping[str, Mapping[str, float]], *, margin_pp: float) -> bytes:
    """Paired differences of macro-F1 with their intervals, the zero line and the harm margin.

    Args:
        deltas: mean_pp, low_pp and high_pp by the name to show.
        margin_pp: of harm.
    """
    ends = ("mean_pp", "low_pp", "high_pp")
    means, lows, highs = ([delta[end] for delta in deltas.values()] for end in ends)
    rows = range(len(deltas))
    figure = Figure((4.6, 0.8 + 0.4 * len(deltas)))
    axes = figure.subplots()
    axes.axvline(0, color=INK, linewidth=1)
    axes.axvline(-margin_pp, color="C1", linewidth=1, linestyle=(0, (4, 3)))
    axes.hlines(rows, lows, highs, color="C0", linewidth=3, alpha=0.55)
    axes.plot(means, rows, "o", color="C0", markersize=8)
    for row, mean in enumerate(means):  # beside the axes, where no line can cross it
        place = axes.get_yaxis_transform()
        axes.text(1.02, row, f"{mean:+.1f}", transform=place, fontsize=9, va="center")
    axes.set_yticks(rows, list(deltas))
    axes.set_ylim(len(deltas) - 0.5, -0.5)
    axes.grid(visible=False, axis="y")
    axes.set_xlabel("points of macro-F1; dashed: margin of harm")
    return _png(figure)


@mpl.rc_context(fname=STYLE)
def reject_chart(drawn: pd.DataFrame) -> bytes:
    """Bars of the drawn images per class: kept, and dropped by reason.

    Args:
        drawn: images, a row a class, a column "kept" and one for each reason.
    """
    lefts = drawn.cumsum(axis=1) - drawn
    figure = Figure((4.6, 1.1 + 0.42 * len(drawn)))
    axes = figure.subplots()
    for reason in drawn.columns:
        axes.barh(drawn.index, drawn[reason], left=lefts[reason], label=reason, height=0.62)
    axes.invert_yaxis()
    axes.grid(visible=False, axis="y")
    axes.set_xlabel("images drawn")
    axes.legend(ncols=3, loc="lower left", bbox_to_anchor=(0, 1))
    return _png(figure)


def _png(figure: Figure) -> bytes:
    """PNG without date or version, so that equal figures give equal bytes."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi="figure", metadata={"Software": None})
    return buffer.getvalue()
