"""The stage `prepare`: source -> decode and check -> split -> shards and prepared.json.

Every image that is read ends up in a shard, or with its reason in rejected.parquet, or is counted
as left out of train on purpose.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import pandas as pd

from ganaug.config import PrepareParams
from ganaug.fileio import Span, atomic_folder, write_json
from ganaug.preparing.checks import Candidate, Rejection, run_checks
from ganaug.preparing.decode import Form
from ganaug.preparing.earlier import keep_splits
from ganaug.preparing.near_duplicates import join_near_duplicates
from ganaug.preparing.prepared import DOCUMENT, REJECTED, STEMS, Prepared, read_prepared
from ganaug.preparing.reading import read_candidates, scratch_folder
from ganaug.preparing.rules import (
    require_enough,
    require_few_rejected,
    require_known_classes,
    require_two_halves,
)
from ganaug.preparing.split import assign_splits, complete_given_splits, thin_train
from ganaug.records import METADATA_COLUMNS, SPLITS
from ganaug.shards import count_rows, describe_files, write_shards
from ganaug.sources.base import Source, SourceFacts
from ganaug.sources.registry import load_source

LISTED_GROUPS = 1000  # more are counted but not listed


@dataclass(frozen=True)
class Accepted:
    """What goes into the shards."""

    rows: pd.DataFrame  # the metadata columns of `records`
    images: list[Span]  # PNG, one a row
    salts: dict[str, int]  # of the split, by class
    notes: list[str]  # on splits that the source gives, and on what was left out
    num_left_out: dict[str, int]  # training images, by class


def prepare(
    params: PrepareParams,
    *,
    seed: int,
    out: Path,
    source: Source | None = None,
    num_workers: int = -1,
) -> tuple[Prepared, dict[str, Any]]:
    """Make a prepared dataset folder; the same input gives the same bytes.

    Args:
        params: which source, at what size, split how.
        seed: of the split.
        out: folder, replaced as a whole.
        source: read in place of the one that `params` names, say images of your own.
        num_workers: processes that decode; -1 one a core. The result does not depend on it.
    Returns:
        What `read_prepared` reads, and the metrics: numbers of images read, accepted, rejected by
        reason, left out of train by class, in every split and class.
    Raises:
        SourceError: the source can't be read.
        WorkerError: the workers were killed, or `params.backend` can't be used.
        DatasetError: too many images are unusable, or the rest can't be learned from or split.
    """
    source = source or load_source(params)
    form = Form(params.resolution, params.channels, params.max_pixels)
    with scratch_folder(out.with_name(f".{out.name}.read")) as scratch:
        candidates, rejections = read_candidates(
            source.images,
            form,
            scratch=scratch,
            num_workers=num_workers,
            backend=params.backend,
        )
        require_known_classes(candidates, source.facts)
        candidates, found = run_checks(candidates)
        rejections += found
        require_few_rejected(
            rejections, num_read=len(candidates) + len(rejections), most=params.max_reject_fraction
        )
        notes = require_enough(candidates, source.facts)
        accepted = _split(candidates, params, classes=source.facts.classes, seed=seed)
        with atomic_folder(out) as folder:
            paths = _write_shards(accepted, folder, source.facts.classes)
            document = _describe(accepted, rejections, source.facts, params)
            document |= {"notes": [*notes, *accepted.notes], "files": describe_files(paths)}
            write_json(document, folder / DOCUMENT)
            _write_rejections(rejections, folder / REJECTED)
    return read_prepared(out), metrics_of(document)


def _split(
    candidates: Sequence[Candidate], params: PrepareParams, *, classes: Sequence[str], seed: int
) -> Accepted:
    """Rows and images, both sorted by image_id."""
    images, kept, salts, notes = split_candidates(candidates, params, seed=seed)
    left_out = dict(sorted(Counter(images.loc[~kept, "class_name"].tolist()).items()))
    if left_out:
        counts = ", ".join(f"{name} {number}" for name, number in left_out.items())
        notes.append(
            f"prepare.train_fraction and keep_train leave {(~kept).sum()} training images out, "
            f"drawn by a hash: {counts}"
        )
    images = images[kept].sort_values("image_id", ignore_index=True)
    given = {
        "label": images["class_name"].map({name: label for label, name in enumerate(classes)}),
        "image_id": images["image_id"],
        "source": "real",
        "split": images["split"],
        "group_id": images["group"],
        "weight": 1.0,
    }
    # The columns left out here tell where synthetic rows come from; they are null on real ones.
    rows = pd.DataFrame(given, index=images.index).reindex(columns=METADATA_COLUMNS)
    return Accepted(rows, images["png"].tolist(), salts, notes, left_out)


def split_candidates(
    candidates: Sequence[Candidate], params: PrepareParams, *, seed: int
) -> tuple[pd.DataFrame, "pd.Series[bool]", dict[str, int], list[str]]:
    """Keep splits of an earlier version, near-duplicates together, split the rest, thin train.

    Returns:
        A row an image, in the order given: `class_name`, `group`, `split`, `image_id`, `png` (a
        span of a file); which of them stay; the salt of every class; what was done about
        near-duplicates and splits.
    Raises:
        DatasetError: they can't be split as wanted, or a class has too few training images then.
    """
    if params.keep_splits is not None:
        candidates = keep_splits(candidates, Path(params.keep_splits))
    joined, notes = join_near_duplicates(candidates, distance=params.near_duplicate_distance)
    images = _table_of(joined)
    val, test = params.val_fraction, params.test_fraction
    images["split"], more = complete_given_splits(
        images, val_fraction=val, test_fraction=test, seed=seed
    )
    images["split"], salts = assign_splits(images, val_fraction=val, test_fraction=test, seed=seed)
    kept = thin_train(images, fraction=params.train_fraction, numbers=params.keep_train, seed=seed)
    require_two_halves(images[kept & (images["split"] == "train")])
    return images, kept, salts, [*notes, *more]


def _table_of(candidates: Sequence[Candidate]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "class_name": [c.class_name for c in candidates],
            "group": [c.image_id if c.group is None else c.group for c in candidates],
            "split": pd.Series([c.split for c in candidates], dtype="object"),
            "image_id": [c.image_id for c in candidates],
            "png": [c.png for c in candidates],
        }
    )


def _write_shards(accepted: Accepted, folder: Path, classes: Sequence[str]) -> list[Path]:
    paths: list[Path] = []
    for split in SPLITS:
        rows = accepted.rows[accepted.rows["split"] == split]
        images = [accepted.images[row] for row in rows.index]
        paths += write_shards(rows, images, folder=folder, stem=STEMS[split], class_names=classes)
    return paths


def _describe(
    accepted: Accepted, rejections: Sequence[Rejection], facts: SourceFacts, params: PrepareParams
) -> dict[str, Any]:
    """prepared.json without its notes and files."""
    rows, about = accepted.rows, asdict(facts)
    counts = count_rows(rows, facts.classes)
    groups = {
        split: rows.loc[rows["split"] == split, "group_id"].value_counts().sort_index().to_dict()
        for split in SPLITS
    }
    listed = sum(map(len, groups.values())) < LISTED_GROUPS
    num_left_out = sum(accepted.num_left_out.values())
    return {
        "source": {k: about[k] for k in ("name", "version", "license", "citation", "homepage")},
        "classes": list(facts.classes),
        "resolution": params.resolution,
        "channels": params.channels,
        "symmetries": list(facts.symmetries),
        "counts": {split: counts[split] for split in SPLITS},
        "num_groups": {split: len(sizes) for split, sizes in groups.items()},
        **({"groups": groups} if listed else {}),
        "split_salt": {name: accepted.salts[name] for name in facts.classes},
        "num_images": {
            "read": len(rows) + len(rejections) + num_left_out,
            "accepted": len(rows),
            "rejected": len(rejections),
            "left_out": num_left_out,
        },
        "num_left_out": accepted.num_left_out,
        "num_rejected": dict(sorted(Counter(r.reason for r in rejections).items())),
    }


def _write_rejections(rejections: Sequence[Rejection], path: Path) -> None:
    columns = [field.name for field in fields(Rejection)]
    table = pd.DataFrame([asdict(rejection) for rejection in rejections], columns=columns)
    table.astype("str").to_parquet(path, index=False)


def metrics_of(document: dict[str, Any]) -> dict[str, Any]:
    """The part of prepared.json that `dvc metrics` compares."""
    return {
        "num_images": document["num_images"],
        "num_rejected": document["num_rejected"],
        "num_left_out": document["num_left_out"],
        "num_groups": document["num_groups"],
        "counts": document["counts"],
    }
