"""The stage `prepare`: source -> decode and check -> split -> shards and prepared.json.

Every image ends up in a shard, in rejected.parquet with its reason, or in the count of images left
out of train on purpose.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

import pandas as pd

from ganaug.config import PrepareParams
from ganaug.errors import DatasetError
from ganaug.fileio import atomic_folder, write_sealed
from ganaug.parallel import MapTasks
from ganaug.preparing.checks import Candidate, Rejection, reject_duplicates
from ganaug.preparing.decode import Form
from ganaug.preparing.near_duplicates import join_near_duplicates
from ganaug.preparing.prepared import DOCUMENT, REJECTED, STEMS, Prepared, read_prepared
from ganaug.preparing.reading import read_candidates, scratch_folder
from ganaug.preparing.rules import (
    require_enough,
    require_few_rejected,
    require_known_classes,
    require_two_halves,
)
from ganaug.preparing.sound import describe_sound, note_lengths, scale_of
from ganaug.preparing.split import complete_given_splits, draw_fold, thin_train
from ganaug.records import METADATA_COLUMNS, SPLITS
from ganaug.shards import count_rows, describe_files, read_rows, write_shards
from ganaug.sources.base import Source, SourceFacts, SourceImage
from ganaug.sources.registry import load_source
from ganaug.spectrogram import Scale

LISTED_GROUPS = 1000  # count more, but don't list them
METRICS = ("num_images", "num_rejected", "num_left_out", "num_groups", "counts")


def prepare(
    params: PrepareParams,
    *,
    seed: int,
    out: Path,
    source: Source | None = None,
    map_tasks: MapTasks = map,
) -> tuple[Prepared, dict[str, Any]]:
    """Write a prepared dataset folder; the same input gives the same bytes.

    Args:
        params: section `prepare`.
        seed: of the split.
        out: folder, replaced as a whole.
        source: read this one instead of the one that `params` names.
        map_tasks: as `map`, which decodes in this process; may give the results in any order.
    Returns:
        The dataset as `read_prepared` reads it, and the metrics: images read, accepted, rejected by
        reason, left out of train by class, and by split and class.
    Raises:
        SourceError: the source can't be read.
        WorkerError: see `map_unordered`.
        DatasetError: too many images are unusable, or the rest can't be learned from or split.
    """
    source = source or load_source(params)
    scale = scale_of(params)
    if scale is not None:  # files, some of which are read again
        source = replace(source, images=list(source.images))
    facts, classes = source.facts, source.facts.classes
    with scratch_folder(out.with_name(f".{out.name}.read")) as scratch:
        candidates, rejections = _read(source, params, scale, scratch, map_tasks)
        notes = require_enough(candidates, facts)
        sound, length_notes = _listen(source.images, rejections, scale)
        images, salts, split_notes = split_candidates(
            candidates, params, seed=seed, symmetries=facts.symmetries
        )
        del candidates  # a million take a gigabyte
        left_out = Counter(sorted(images.loc[~images["kept"], "class_name"]))
        notes += [*length_notes, *split_notes, *_note_left_out(left_out)]
        kept = images[images["kept"]].sort_values("image_id", ignore_index=True)
        rows = _rows_of(kept, classes)
        with atomic_folder(out) as folder:
            document = {
                **_describe(rows, facts, params),
                **sound,
                "split_salt": {name: salts[name] for name in classes},
                **({"fold": params.fold} if params.fold else {}),
                **({"remote": source.remote} if source.remote else {}),
                **_count_fates(rows, rejections, left_out),
                "notes": notes,
                "files": describe_files(_write_splits(rows, folder, classes)),
            }
            write_sealed(document, folder / DOCUMENT)
            table = pd.DataFrame(rejections, columns=[field.name for field in fields(Rejection)])
            table.astype("str").to_parquet(folder / REJECTED, index=False)
    return read_prepared(out), {name: document[name] for name in METRICS}


def _read(
    source: Source, params: PrepareParams, scale: Scale | None, scratch: Path, map_tasks: MapTasks
) -> tuple[list[Candidate], list[Rejection]]:
    """Decode every image; refuse unknown classes, and too many images that can't be used."""
    form = Form(params.resolution, params.channels, params.max_pixels, scale)
    candidates, rejections = read_candidates(
        source.images, form, scratch=scratch, map_tasks=map_tasks
    )
    require_known_classes(candidates, source.facts)
    candidates, duplicates = reject_duplicates(candidates)
    rejections += duplicates
    require_few_rejected(rejections, candidates, most=params.max_reject_fraction)
    return candidates, rejections


def _listen(
    images: Iterable[SourceImage], rejections: Sequence[Rejection], scale: Scale | None
) -> tuple[dict[str, Any], list[str]]:
    """Of usable clips: what prepared.json says of their sound, and notes; nothing of images."""
    if scale is None:
        return {}, []
    unusable = {rejection.file for rejection in rejections}
    clips = [image for image in images if image.name not in unusable]
    return {"sound": describe_sound(clips, scale)}, note_lengths(clips, scale)


def _note_left_out(left_out: Counter[str]) -> list[str]:
    """A sentence on the training images that are left out, by class, if there are any."""
    if not left_out:
        return []
    counts = ", ".join(f"{name} {number}" for name, number in left_out.items())
    return [
        f"prepare.train_fraction and keep_train leave {left_out.total()} training images "
        f"out, drawn by a hash: {counts}"
    ]


def _write_splits(rows: pd.DataFrame, folder: Path, classes: Sequence[str]) -> list[Path]:
    """Write the shards of all splits."""
    paths = list[Path]()
    for split, stem in STEMS.items():
        part = rows[rows["split"] == split]
        metadata, pngs = part[METADATA_COLUMNS], part["png"].tolist()
        paths += write_shards(metadata, pngs, folder=folder, stem=stem, class_names=classes)
    return paths


def _rows_of(images: pd.DataFrame, classes: Sequence[str]) -> pd.DataFrame:
    """The metadata columns of `records`, those of synthetic rows null, and `png`."""
    labels = images["class_name"].map({name: label for label, name in enumerate(classes)})
    rows = images.rename(columns={"group": "group_id"})
    rows = rows.assign(label=labels, source="real", weight=1.0)
    return rows.reindex(columns=[*METADATA_COLUMNS, "png"])


def split_candidates(
    candidates: Sequence[Candidate],
    params: PrepareParams,
    *,
    seed: int,
    symmetries: Sequence[str],
) -> tuple[pd.DataFrame, dict[str, int], list[str]]:
    """Keep the splits of an earlier version, join near-duplicates, split the rest, thin train.

    Returns:
        One row per image, in the order given: `class_name`, `group`, `split`, `image_id`, `png` (a
        span of a file), `kept` (False: left out of train); the salt of every class; notes about
        near-duplicates and splits.
    Raises:
        DatasetError: no such split exists, or it leaves a class too few training images.
    """
    if params.keep_splits is not None:
        candidates = _keep_splits(candidates, Path(params.keep_splits))
    groups, notes = join_near_duplicates(
        candidates, distance=params.near_duplicate_distance, symmetries=symmetries
    )
    columns = ("class_name", "split", "image_id", "png")
    facts = {name: [getattr(c, name) for c in candidates] for name in columns}
    images = pd.DataFrame(facts, dtype="object").assign(group=groups)
    how: Any = {"val_fraction": params.val_fraction, "test_fraction": params.test_fraction}
    images["split"], given_notes = complete_given_splits(images, **how, seed=seed)
    if params.fold == 0:  # what a source gives holds here alone
        notes += given_notes
    images["split"], salts = draw_fold(images, params.fold, **how, seed=seed)
    images["kept"] = thin_train(
        images, fraction=params.train_fraction, numbers=params.keep_train, seed=seed
    )
    train = images[images["kept"] & (images["split"] == "train")]
    require_two_halves(train, sorted(set(facts["class_name"])))
    return images, salts, notes


def _keep_splits(candidates: Sequence[Candidate], folder: Path) -> list[Candidate]:
    """Give candidates that an earlier version held the split they had there.

    Otherwise the split is a hash with a salt that depends on all images, so new images may move old
    ones. A rule that sees one group alone can't put every class in every split.
    """
    paths = sorted(folder.glob("*-*.parquet"))
    if not paths:
        raise DatasetError(f"prepare.keep_splits: {folder} holds no shards of an earlier version")
    rows, _ = read_rows(paths)
    real = rows[rows["source"] == "real"]
    known = dict(zip(real["image_id"], real["split"], strict=True))
    if not any(candidate.image_id in known for candidate in candidates):
        raise DatasetError(
            f"prepare.keep_splits: {folder} holds none of these images; it must have been prepared "
            "with the same prepare.resolution and prepare.channels"
        )
    return [c if c.split else replace(c, split=known.get(c.image_id)) for c in candidates]


def _count_fates(
    rows: pd.DataFrame, rejections: Sequence[Rejection], left_out: Counter[str]
) -> dict[str, Any]:
    """What became of every image that was read: nothing is dropped in silence."""
    fates = {"accepted": len(rows), "rejected": len(rejections), "left_out": left_out.total()}
    return {
        "num_images": {"read": sum(fates.values()), **fates},
        "num_left_out": left_out,
        "num_rejected": Counter(sorted(r.reason for r in rejections)),
    }


def _describe(rows: pd.DataFrame, facts: SourceFacts, params: PrepareParams) -> dict[str, Any]:
    """Source, classes and format, and numbers of images and groups in each split."""
    about, counts = asdict(facts), count_rows(rows, facts.classes)
    stated = ["name", "version", "license", "citation", "homepage"] + ["people"] * facts.people
    groups = {
        split: rows.loc[rows["split"] == split, "group_id"].value_counts().sort_index().to_dict()
        for split in SPLITS
    }
    listed = sum(map(len, groups.values())) < LISTED_GROUPS
    return {
        "source": {key: about[key] for key in stated},
        "classes": list(facts.classes),
        "resolution": params.resolution,
        "channels": params.channels,
        "symmetries": list(facts.symmetries),
        "counts": {split: counts[split] for split in SPLITS},
        "num_groups": {split: len(sizes) for split, sizes in groups.items()},
        **({"groups": groups} if listed else {}),
    }
