"""What `prepare` would see in a folder or table of images, before anything runs."""

import base64
import html
import io
import statistics
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from ganaug.config import PrepareParams
from ganaug.errors import DatasetError
from ganaug.images import decode_png, encode_png, tile
from ganaug.preparing.checks import Candidate, Rejection, run_checks
from ganaug.preparing.decode import Form
from ganaug.preparing.prepare import split_candidates
from ganaug.preparing.reading import read_candidates
from ganaug.preparing.rules import require_enough, require_few_rejected
from ganaug.sources.base import Source, SourceImage
from ganaug.sources.registry import load_source

RESOLUTIONS = (16, 32, 64, 128, 256)
LARGEST_SUGGESTED = 64  # what two CPU cores train in minutes; more is a decision
LOOK = 64  # pixels per side of the images on the contact sheet
SHEET_COLUMNS = 12


@dataclass(frozen=True)
class Survey:
    """What was found."""

    source: str  # name of the source that read it
    path: str  # where it was read from
    counts: dict[str, int]  # distinct usable images by class
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
    """Read every image once, small, and hold it against the rules of `prepare`.

    Raises:
        SourceError: the source can't be read or could be misread.
    """
    # An earlier version tells nothing of images that are read at another size.
    params = params.model_copy(update={"keep_splits": None})
    source = load_source(params)
    sizes, modes = Counter[tuple[int, int]](), Counter[str]()
    images = _noting_headers(source.images, sizes, modes)
    with tempfile.TemporaryDirectory() as scratch:
        form = Form(LOOK, 3, params.max_pixels)
        candidates, rejections = read_candidates(images, form, scratch=Path(scratch))
        candidates, found = run_checks(candidates)
        rejections += found
        problems, notes = _hold_against_rules(candidates, rejections, source, params, seed=seed)
        counts = Counter(candidate.class_name for candidate in candidates)
        groups = {candidate.group for candidate in candidates} - {None}
        resolution = _suggest_resolution(sizes)
        return Survey(
            source=params.source,
            path=params.files.path,
            counts={name: counts[name] for name in source.facts.classes},
            num_groups=len(groups),
            sizes=sizes.most_common(),
            modes=modes.most_common(),
            rejections=rejections,
            problems=problems,
            notes=[*notes, *_notes(source, len(groups), resolution, sizes)],
            resolution=resolution,
            channels=1 if all(_is_grey(bytes(c.png)) for c in candidates) else 3,
            sheets={name: _sheet(candidates, name) for name in counts},
        )


def _noting_headers(
    images: Iterable[SourceImage], sizes: Counter[tuple[int, int]], modes: Counter[str]
) -> Iterator[SourceImage]:
    """The images, whose sizes and modes are counted from their first bytes as they pass by."""
    for image in images:
        content = image.content
        file = io.BytesIO(content) if isinstance(content, bytes) else content
        # What can't be opened is among the rejected later, with its reason.
        with suppress(Exception):
            # A pipe would be waited for.
            if isinstance(file, io.BytesIO) or (isinstance(file, Path) and file.is_file()):
                with Image.open(file) as header:
                    sizes[header.size] += 1
                    modes[header.mode] += 1
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
    problems, notes = list[str](), list[str]()
    num_read = len(candidates) + len(rejections)
    with _collected(problems):
        require_few_rejected(rejections, num_read=num_read, most=params.max_reject_fraction)
    with _collected(problems):
        notes += require_enough(candidates, source.facts)
        _, _, _, more = split_candidates(candidates, params, seed=seed)
        notes += more
    return problems, notes


@contextmanager
def _collected(problems: list[str]) -> Iterator[None]:
    try:
        yield
    except DatasetError as error:
        problems.append(str(error))


def _usual_side(sizes: Mapping[tuple[int, int], int]) -> int:
    """Median of the images' shorter sides."""
    sides = [min(size) for size, number in sizes.items() for _ in range(number)]
    return int(statistics.median(sides)) if sides else LARGEST_SUGGESTED


def _suggest_resolution(sizes: Mapping[tuple[int, int], int]) -> int:
    """The largest that does not enlarge a usual image, and at most `LARGEST_SUGGESTED`."""
    side = max(_usual_side(sizes), RESOLUTIONS[0])
    return [r for r in RESOLUTIONS if r <= min(side, LARGEST_SUGGESTED)][-1]


def _is_grey(png: bytes) -> bool:
    pixels = decode_png(png).astype(np.int16)
    return bool(np.ptp(pixels, axis=2).max() <= 2)  # what JPEG makes of a grey picture


def _notes(
    source: Source, num_groups: int, resolution: int, sizes: Mapping[tuple[int, int], int]
) -> list[str]:
    notes = []
    if num_groups == 0:
        notes.append(
            "no groups: if several images show one object (patient, part, scene), name the group "
            "by prepare.files.group_pattern or prepare.table.group, or the test split will flatter"
        )
    if not source.facts.symmetries:
        notes.append(
            "no flips: if a mirrored image keeps its label, say so in prepare.files.flips; it "
            "doubles what the GAN learns from"
        )
    if _usual_side(sizes) < resolution:
        notes.append(f"most images are smaller than {resolution} pixels and would be enlarged")
    return notes


def _sheet(candidates: Sequence[Candidate], name: str) -> bytes:
    """Images of a class, evenly spread."""
    own = [candidate for candidate in candidates if candidate.class_name == name]
    shown = own[:: max(1, len(own) // (2 * SHEET_COLUMNS))][: 2 * SHEET_COLUMNS]
    images = np.stack([decode_png(bytes(candidate.png)) for candidate in shown])
    return encode_png(tile(images, columns=min(SHEET_COLUMNS, len(shown))))


def as_text(found: Survey) -> str:
    """The survey for a terminal."""
    total = sum(found.counts.values())
    shares = [(name, str(n), f"{n / max(1, total):.0%}") for name, n in found.counts.items()]
    reasons = Counter(rejection.reason for rejection in found.rejections)
    lines = [
        f"{found.path}: source {found.source}, {total} usable images, "
        f"{len(found.rejections)} rejected, {found.num_groups} groups",
        "",
        *_table(("class", "images", "share"), shares),
        "",
        "sizes: " + ", ".join(f"{w} x {h} ({n})" for (w, h), n in found.sizes[:5]),
        "modes: " + ", ".join(f"{mode} ({n})" for mode, n in found.modes[:5]),
    ]
    if reasons:
        by_reason = [(reason, str(n), "") for reason, n in reasons.most_common()]
        lines += ["", *_table(("rejected as", "images", ""), by_reason)]
        lines += [f"  {r.file}: {r.detail}" for r in found.rejections[:10]]
        if len(found.rejections) > 10:
            lines.append(f"  ... and {len(found.rejections) - 10} more")
    lines += ["", *(f"problem: {problem}" for problem in found.problems)]
    lines += [f"note: {note}" for note in found.notes]
    lines.append(f"suggested: resolution {found.resolution}, channels {found.channels}")
    return "\n".join(lines)


def as_html(found: Survey) -> str:
    """The survey as one page with a contact sheet of each class; nothing is loaded from outside."""
    sheets = "".join(
        f"<h2>{html.escape(name)} ({found.counts[name]})</h2>"
        f"<img alt='images of {html.escape(name, quote=True)}' "
        f"src='data:image/png;base64,{base64.b64encode(png).decode()}'>"
        for name, png in found.sheets.items()
    )
    return (
        "<!doctype html><html lang='en'><meta charset='utf-8'>"
        "<meta name='viewport' content='width=device-width'>"
        f"<title>{html.escape(str(found.path))}</title>"
        "<style>body{font:16px system-ui;margin:2rem auto;max-width:60rem;padding:0 1rem}"
        "img{max-width:100%;image-rendering:pixelated}pre{overflow-x:auto}</style>"
        f"<h1>{html.escape(str(found.path))}</h1><pre>{html.escape(as_text(found))}</pre>{sheets}"
    )


def _table(header: tuple[str, str, str], rows: list[tuple[str, str, str]]) -> list[str]:
    width = max(len(row[0]) for row in [header, *rows])
    return [f"  {a:<{width}}  {b:>7}  {c:>5}".rstrip() for a, b, c in [header, *rows]]
