"""Show what `prepare` would find in images of your own, before anything runs."""

import io
import math
import statistics
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from itertools import chain, islice
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from ganaug.config import PrepareParams
from ganaug.errors import DatasetError
from ganaug.images import Pixels, decode_png, encode_png, tile
from ganaug.preparing.checks import Candidate, Rejection, reject_duplicates
from ganaug.preparing.decode import Form, silence_pillow
from ganaug.preparing.prepare import split_candidates
from ganaug.preparing.reading import read_candidates
from ganaug.preparing.rules import require_enough, require_few_rejected
from ganaug.preparing.sound import note_lengths, scale_of
from ganaug.records import SPLITS
from ganaug.sources.base import Source, SourceImage
from ganaug.sources.files import fetched
from ganaug.sources.registry import load_source
from ganaug.templates import render
from ganaug.thumbnails import SIDE

RESOLUTIONS = (16, 32, 64, 128, 256)
LARGEST_SUGGESTED = 64  # what two CPU cores train in minutes; more is a decision
LOOK = 64  # pixels per side of the images on the contact sheet, at most
NO_GROUPS = (
    "no groups: if several images show one object (patient, part, scene), name the group "
    "by prepare.files.group_pattern or prepare.table.group, or test scores will be too high"
)
NO_FLIPS = (
    "no flips: if a mirrored image keeps its label, say so in prepare.files.flips; it "
    "doubles what the GAN learns from"
)
FEW_COLOURS = 8  # at most, of a mask, a map or a drawing
DISCRETE = (
    "{} of the first {} images have {} colours or fewer, like masks, maps or one-bit scans: a GAN "
    "makes intermediate values, which mean nothing there, and D tells them at once; use the "
    "photographs behind them, or train a network for segmentation masks"
)
LOOKED_AT = 32  # first images; their sizes decide at which size the survey reads
MOST_PIXELS = 2**24  # of an image whose colours are counted
SHEET_COLUMNS = 12

Sizes = Counter[tuple[int, int]]  # images by width and height


@dataclass(frozen=True)
class Survey:
    """What the survey found."""

    source: str  # name of the source that read it
    path: str  # where it was read from
    counts: dict[str, int]  # distinct usable images by class
    splits: dict[str, dict[str, int]]  # the same by class and split; empty if the source has none
    num_groups: int  # distinct ones, 0 when the source names none
    sizes: list[tuple[tuple[int, int], int]]  # (width, height) and how many have it, from the most
    modes: list[tuple[str, int]]  # the same for Pillow's modes, say L or RGB
    rejections: list[Rejection]  # what can't be used, and why
    problems: list[str]  # why `prepare` would refuse the whole, one sentence each
    notes: list[str]  # what to think about, one sentence each
    resolution: int  # a suggestion, like the channels
    channels: int
    sheets: dict[str, bytes]  # by class, PNG of some of its images


def survey(params: PrepareParams, *, seed: int) -> Survey:
    """Read every image once, at a small size, and check it against the rules of `prepare`.

    Raises:
        SourceError: the source can't be read or could be misread.
    """
    # keep_splits finds images by their pixels, which differ at the survey's size.
    params = params.model_copy(update={"keep_splits": None})
    source = load_source(params)
    sizes, modes, discrete = Sizes(), Counter[str](), Counter[bool]()
    files = list(source.images) if params.source == "audio" else source.images
    images = _noting_headers(files, sizes, modes, discrete)
    first = list(islice(images, LOOKED_AT))
    look = next((r for r in RESOLUTIONS if _usual_side(sizes) <= r <= LOOK), LOOK)
    scale = scale_of(params, resolution=look)
    form = Form(look, None, params.max_pixels, scale)
    with tempfile.TemporaryDirectory() as scratch:
        candidates, rejections = read_candidates(chain(first, images), form, scratch=Path(scratch))
        candidates, duplicates = reject_duplicates(candidates)
        rejections += duplicates
        colours = {len(candidate.thumbnail) // SIDE**2 for candidate in candidates}
        if colours == {1, 3}:  # to compare them with others
            candidates = [_in_colour(candidate) for candidate in candidates]
        problems, notes = _hold_against_rules(candidates, rejections, source, params, seed=seed)
        counts = Counter(candidate.class_name for candidate in candidates)
        given = Counter((c.class_name, c.split) for c in candidates if c.split is not None)
        splits = {name: {s: given[name, s] for s in SPLITS} for name in source.facts.classes}
        num_groups = len({candidate.group for candidate in candidates} - {None})
        notes += _hints(source, num_groups, discrete, flips=scale is None)
        side = _usual_side(sizes)
        suggested = (r for r in RESOLUTIONS if r <= LARGEST_SUGGESTED)
        resolution = min(suggested, key=lambda r: abs(math.log(r / side)))  # nearest by ratio
        notes += note_lengths(files, scale) if scale else _costs(side, resolution)
        return Survey(
            source=params.source,
            path=params.files.path,
            counts={name: counts[name] for name in source.facts.classes},
            splits=splits if given else {},
            num_groups=num_groups,
            sizes=sizes.most_common(),
            modes=modes.most_common(),
            rejections=rejections,
            problems=problems,
            notes=notes,
            resolution=resolution,
            channels=max(colours, default=1),
            sheets={name: _sheet(candidates, name) for name in counts},
        )


def _noting_headers(
    images: Iterable[SourceImage], sizes: Sizes, modes: Counter[str], discrete: Counter[bool]
) -> Iterator[SourceImage]:
    """Pass the images on; count sizes and modes from their headers, and how many of the first have
    few colours.
    """
    silence_pillow()
    for image in fetched(images):
        content = image.content
        file = io.BytesIO(content) if isinstance(content, bytes) else content
        # Files that can't be opened are rejected later, with the reason.
        with suppress(Exception):
            # Reading a pipe would block.
            if isinstance(file, io.BytesIO) or (isinstance(file, Path) and file.is_file()):
                with Image.open(file) as header:
                    sizes[header.size] += 1
                    modes[header.mode] += 1
                    if discrete.total() < LOOKED_AT and math.prod(header.size) <= MOST_PIXELS:
                        discrete[header.getcolors(FEW_COLOURS) is not None] += 1
        yield image


def _hold_against_rules(
    candidates: Sequence[Candidate],
    rejections: Sequence[Rejection],
    source: Source,
    params: PrepareParams,
    *,
    seed: int,
) -> tuple[list[str], list[str]]:
    """Why `prepare` would refuse these images, and its notes."""
    facts, problems, notes = source.facts, list[str](), list[str]()
    with _collected(problems):
        require_few_rejected(rejections, candidates, most=params.max_reject_fraction)
    with _collected(problems):
        notes += require_enough(candidates, facts)
        notes += split_candidates(candidates, params, symmetries=facts.symmetries, seed=seed)[-1]
    return problems, notes


def _hints(source: Source, num_groups: int, discrete: Counter[bool], *, flips: bool) -> list[str]:
    """What the user may have forgotten to say, or does not know."""
    hints = [NO_GROUPS] if num_groups == 0 else []
    if flips and not source.facts.symmetries:
        hints.append(NO_FLIPS)
    if discrete[True] > discrete[False]:
        hints.append(DISCRETE.format(discrete[True], discrete.total(), FEW_COLOURS))
    return hints


@contextmanager
def _collected(problems: list[str]) -> Iterator[None]:
    try:
        yield
    except DatasetError as error:
        problems.append(str(error))


def _usual_side(sizes: Sizes) -> int:
    """Median of the images' shorter sides."""
    sides = [min(size) for size in sizes.elements()]
    return int(statistics.median(sides)) if sides else LARGEST_SUGGESTED


def _costs(side: int, resolution: int) -> list[str]:
    """What the suggested resolution does to an image of the usual size, if anything."""
    if side < resolution:
        return [f"{side} px images are enlarged to {resolution} px, which adds time but no detail"]
    if side == resolution:
        return []
    kept = (resolution / side) ** 2
    note = f"{side} px images are reduced to {resolution} px, which keeps {kept:.0%} of the pixels"
    larger = min(r for r in RESOLUTIONS if r > resolution)  # there is one: few are suggested
    return [f"{note}; {larger} px would take about {(larger / resolution) ** 2:.0f} x the time"]


def _in_colour(candidate: Candidate) -> Candidate:
    """The same with an RGB thumbnail."""
    small = np.frombuffer(candidate.thumbnail, np.uint8).reshape(SIDE**2, -1)
    return replace(candidate, thumbnail=np.broadcast_to(small, (SIDE**2, 3)).tobytes())


def _sheet(candidates: Sequence[Candidate], name: str) -> bytes:
    """Images of a class, evenly spread."""
    own = [candidate for candidate in candidates if candidate.class_name == name]
    shown = own[:: max(1, len(own) // (2 * SHEET_COLUMNS))][: 2 * SHEET_COLUMNS]
    found = [decode_png(bytes(candidate.png)) for candidate in shown]
    images: Pixels = np.stack(np.broadcast_arrays(*found))  # all in colour if one is
    return encode_png(tile(images, columns=min(SHEET_COLUMNS, len(shown))))


def as_text(found: Survey) -> str:
    """The survey for a terminal."""
    reasons = Counter(rejection.reason for rejection in found.rejections)
    rejected = pd.Series(dict(reasons.most_common())).to_frame("rejected")
    facts = {"found": found, "table": _count_table(found), "rejected": rejected}
    return render(Path(__file__).with_name("survey.txt.jinja"), **facts).rstrip("\n")


def as_html(found: Survey) -> str:
    """The survey as one page with a contact sheet of each class; nothing is loaded from outside."""
    template = Path(__file__).with_name("survey.html.jinja")
    return render(template, found=found, text=as_text(found)).rstrip("\n")


def _count_table(found: Survey) -> pd.DataFrame:
    """Images of each class; by split, with the shares of train, where splits are given."""
    table = pd.Series(found.counts).to_frame("images")
    share, of = "share", "images"
    if found.splits:
        table = pd.DataFrame(found.splits, index=list(SPLITS)).T
        share, of = "of train", "train"
    table[share] = (table[of] / max(1, table[of].sum())).map("{:.0%}".format)
    return table
