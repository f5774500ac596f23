"""Draw, score, accept or reject images until every class has enough; write the accepted ones.

Workers draw and judge one round each. What an image is compared with that was drawn before it is
settled here, round after round, so any number of workers accepts the same images. Classes take
turns: of two that draw the very same pixels, the one that is settled first keeps them.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ganaug.curating.comparing import Apart, RealImages
from ganaug.curating.filter import (
    DUPLICATE,
    REASONS,
    REJECTED_BY_PERSON,
    REPEAT,
    UNCHANGED,
    SyntheticFilter,
    reject_by_score,
)
from ganaug.fileio import Span, atomic_folder, write_sealed
from ganaug.gan.sampling import LatentLaw, sample
from ganaug.gan.snapshot import Snapshot
from ganaug.images import Indices, Pixels, encode_png, pixel_id
from ganaug.parallel import MapTasks, in_order, one_thread
from ganaug.progress import ProgressReport
from ganaug.records import METADATA_COLUMNS
from ganaug.shards import describe_files, write_shards

ROUND = 256  # images of one class that a worker draws and scores at a time
MOST_ROUNDS = 128  # at once, which bounds what waits to be settled


@dataclass
class ClassTally:
    """What happened to the draws of one class."""

    wanted: int
    drawn: int = 0
    accepted: int = 0
    rejected: Counter[str] = field(default_factory=lambda: Counter(dict.fromkeys(REASONS, 0)))


@dataclass(frozen=True)
class Curated:
    """Accepted rows, their PNGs in the same order, and the tally of each class."""

    rows: pd.DataFrame
    images: list[Span]
    tallies: dict[str, ClassTally]
    rejected_by_person: list[str]  # image_ids of those that nothing else rejected


@dataclass(frozen=True)
class Rules:
    """How to draw images, and which to accept.

    Args:
        law: distribution of the latents.
        judge: scores the images.
        real: the real training images, in the order that `judge` knows them.
        min_scores: lowest accepted scores, of `filter.ASKED`, by class.
        min_distance: least distance between thumbnails of accepted images, by class.
    """

    law: LatentLaw
    judge: SyntheticFilter
    real: RealImages
    min_scores: Mapping[str, Mapping[str, float]]
    min_distance: Mapping[str, float]


@dataclass(frozen=True)
class Draws:
    """Rows of a round, images [N, H, W, C], the nearest real ones, reasons to reject by score."""

    rows: pd.DataFrame
    pixels: Pixels
    nearest: Indices
    reasons: NDArray[np.object_]


def curate(
    snapshot: Snapshot,
    rules: Rules,
    *,
    wanted: Mapping[str, int],
    first_seed: int,
    max_draws_per_image: int,
    pngs: Path,
    unwanted: Collection[str] = (),
    map_tasks: MapTasks = map,
) -> Curated:
    """Generate the wanted images of each class.

    Args:
        snapshot: the generator.
        rules: how its images are drawn and judged.
        wanted: images per class, keyed as in the snapshot's classes.
        first_seed: seeds count up from here, in each class.
        max_draws_per_image: give up on a class after this many draws per wanted image.
        pngs: file to write the PNGs to, so that memory does not hold them.
        unwanted: image_ids that people rejected. They are judged like all others before they are
            left out, so the other images stay as they were, and no near-duplicate takes the place.
        map_tasks: as `map`, which works in this process; may give the results in any order.
    """
    taken = set(rules.real.ids)
    tallies = {name: ClassTally(count) for name, count in wanted.items()}
    apart = {name: Apart(rules.min_distance[name]) for name in wanted}
    parts: dict[str, list[pd.DataFrame]] = defaultdict(list)
    encoding: dict[str, list[Future[list[Span]]]] = defaultdict(list)
    by_person: list[str] = []
    draw = partial(_draw, snapshot, rules.law, rules.judge, rules.min_scores)
    # zlib releases Python's lock, so the next images are drawn meanwhile.
    with (
        ProgressReport("generate", total=sum(wanted.values())) as progress,
        ThreadPoolExecutor(max_workers=1) as encoder,
    ):
        while rounds := _next_rounds(tallies, first_seed, max_draws_per_image):
            results = in_order(draw, rounds, map_tasks)
            for (name, _), drawn in zip(rounds, results, strict=True):
                tally = tallies[name]
                if tally.accepted == tally.wanted:
                    continue
                rows = drawn.rows.assign(nearest_id=rules.real.ids[drawn.nearest])
                reasons = _compare(drawn, rules.real, apart[name], taken, unwanted)
                reasons = _settle(tally, reasons)
                kept = np.flatnonzero(reasons == "")
                rejected = np.flatnonzero(reasons == REJECTED_BY_PERSON)
                by_person += rows["image_id"].iloc[rejected].tolist()
                parts[name].append(rows.iloc[kept])
                encoding[name].append(encoder.submit(_append_pngs, drawn.pixels[kept], pngs))
                progress.advance(len(kept))
        for name, tally in tallies.items():
            if tally.accepted < tally.wanted:
                progress.note(_describe_shortfall(name, tally))
    images = [png for name in wanted for part in encoding[name] for png in part.result()]
    filled = [part for name in wanted for part in parts[name] if len(part)]
    rows = pd.concat(filled or [pd.DataFrame(columns=METADATA_COLUMNS)])
    return Curated(rows.reset_index(drop=True), images, tallies, by_person)


def encode_pngs(images: Pixels) -> list[bytes]:
    """PNGs of [N, H, W, C], marked as synthetic."""
    return [encode_png(image, synthetic=True) for image in images]


def _append_pngs(images: Pixels, path: Path) -> list[Span]:
    """Append the PNGs of images to a file."""
    spans = []
    with path.open("ab") as file:
        for png in encode_pngs(images):
            spans.append(Span(path, file.tell(), len(png)))
            file.write(png)
    return spans


@one_thread()
def _draw(
    snapshot: Snapshot,
    law: LatentLaw,
    judge: SyntheticFilter,
    min_scores: Mapping[str, Mapping[str, float]],
    task: tuple[str, range],
) -> Draws:
    """Draw and score a round, given its class and seeds; as `map_tasks` wants it."""
    class_name, seeds = task
    labels = np.full(len(seeds), snapshot.classes.index(class_name))
    pixels = sample(snapshot.generator, labels.tolist(), seeds, law=law)
    scores = judge.score(pixels, labels)
    columns = {
        "label": labels,
        "image_id": [pixel_id(image) for image in pixels],
        "source": "synthetic",
        "split": "train",
        "group_id": None,
        "generator_id": snapshot.generator_id,
        "seed": seeds,
        "parent_id": pd.Series(snapshot.parent_ids(labels.tolist(), seeds, law=law)),
        "label_confidence": scores["label_confidence"],
        "realism": scores["realism"],
        "nearest_id": None,  # workers have no ids
        "nearest_distance": scores["nearest_distance"],
        "weight": 1.0,
    }
    rows = pd.DataFrame(columns, columns=METADATA_COLUMNS)
    reasons = reject_by_score(scores, min_scores[class_name])
    return Draws(rows, pixels, scores["nearest"].to_numpy(), reasons)


def _compare(
    drawn: Draws, real: RealImages, apart: Apart, taken: set[str], unwanted: Collection[str]
) -> NDArray[np.object_]:
    """The reasons of a round and those that other images give; adds to `apart` and `taken`."""
    ids, reasons = drawn.rows["image_id"], drawn.reasons.copy()
    unchanged = real.are_unchanged(drawn.pixels, drawn.rows, min_distance=apart.min_distance)
    reasons[(reasons == "") & unchanged] = UNCHANGED
    # Not isin, which would look at all that is taken for each round.
    reasons[ids.duplicated().to_numpy() | np.array([own in taken for own in ids])] = DUPLICATE
    taken.update(ids)
    passed = np.flatnonzero(reasons == "")
    reasons[passed[~apart.admit(drawn.pixels[passed])]] = REPEAT
    reasons[(reasons == "") & ids.isin(unwanted).to_numpy()] = REJECTED_BY_PERSON
    return reasons


def _next_rounds(
    tallies: Mapping[str, ClassTally], first_seed: int, max_draws: int
) -> list[tuple[str, range]]:
    """Class and seeds of the rounds to draw at once, none if each class has its images or gave up.

    As many as a class will need if as few pass as so far, but no more than it drew before, or than
    it needs if all pass; `MOST_ROUNDS` in all.
    """
    rounds: list[tuple[str, range]] = []
    for name, tally in tallies.items():
        missing, left = tally.wanted - tally.accepted, tally.wanted * max_draws - tally.drawn
        expected = math.ceil(missing * tally.drawn / max(tally.accepted, 1))
        number = max(missing, min(expected, tally.drawn))
        start, end = first_seed + tally.drawn, first_seed + tally.drawn + left
        starts = range(start, min(start + number, end), ROUND)
        rounds += [(name, range(seed, min(seed + ROUND, end))) for seed in starts]
    return rounds[:MOST_ROUNDS]


def _settle(tally: ClassTally, reasons: NDArray[np.object_]) -> NDArray[np.object_]:
    """Count the draws up to the last one needed, and return the reasons of these."""
    accepted = np.flatnonzero(reasons == "")[: tally.wanted - tally.accepted]
    tally.accepted += len(accepted)
    if tally.accepted == tally.wanted:
        reasons = reasons[: accepted[-1] + 1]
    tally.drawn += len(reasons)
    tally.rejected.update(filter(None, reasons.tolist()))
    return reasons


def _describe_shortfall(name: str, tally: ClassTally) -> str:
    worst = max(tally.rejected, key=tally.rejected.__getitem__)
    return (
        f"class {name}: only {tally.accepted} of {tally.wanted} wanted images were accepted in "
        f"{tally.drawn} draws, mostly rejected as {worst}"
    )


def tally_dict(tallies: Mapping[str, ClassTally]) -> dict[str, Any]:
    """{"wanted", "accepted", "drawn"} per class, and {"rejected": {class: {reason: n}}}."""
    counted = ("wanted", "accepted", "drawn", "rejected")
    return {what: {name: getattr(t, what) for name, t in tallies.items()} for what in counted}


def write_synthetic(
    curated: Curated, facts: dict[str, Any], *, folder: Path, class_names: Sequence[str]
) -> None:
    """Write `train-synthetic-*.parquet` (none for no images) and synthetic.json, or nothing."""
    with atomic_folder(folder) as temporary:
        paths = write_shards(
            curated.rows,
            curated.images,
            folder=temporary,
            stem="train-synthetic",
            class_names=class_names,
        )
        write_sealed({**facts, "files": describe_files(paths)}, temporary / "synthetic.json")
