"""Read and check the output of `prepare`: shards and prepared.json."""

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from ganaug.errors import DatasetError
from ganaug.fileio import read_json, require_files
from ganaug.records import SPLITS

DOCUMENT = "prepared.json"
REJECTED = "rejected.parquet"  # file, reason, detail of each rejected image; no shard
STEMS = {"train": "train-real", "val": "val", "test": "test"}  # shard names by split


@dataclass(frozen=True)
class Prepared:
    """A prepared dataset on disk."""

    folder: Path
    classes: tuple[str, ...]  # what `label` indexes
    resolution: int  # pixels per side
    channels: int  # 1 grey | 3 RGB
    symmetries: tuple[str, ...]  # flips that keep every label: of "hflip", "vflip"
    source: dict[str, Any]  # name, version, license, citation, homepage; people: True if declared
    counts: dict[str, dict[str, int]]  # images by split and class
    num_images: dict[str, int]  # read, accepted, rejected, left_out
    files: dict[str, dict[str, Any]]  # sha256, bytes, rows by shard name
    notes: tuple[str, ...] = ()  # warnings for the reader, one sentence each
    sound: dict[str, Any] | None = None  # of spectrograms: their scale, and what a round trip loses

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Height, width and channels of every image."""
        return self.resolution, self.resolution, self.channels

    @property
    def spectrogram_side(self) -> int | None:
        """Pixels per side if the images are spectrograms, else None."""
        return self.resolution if self.sound else None

    def shards(self, split: str) -> list[Path]:
        """The shards of train, val or test, in order.

        Raises:
            DatasetError: there is no such split.
        """
        if split not in SPLITS:
            raise DatasetError(f"{self.folder}: no split {split!r}; there are {', '.join(SPLITS)}")
        return sorted(self.folder / n for n in self.files if n.startswith(f"{STEMS[split]}-"))

    def summary(self) -> str:
        """One line: images accepted and rejected, and how many in each split and class."""
        fates = "{accepted} images accepted, {rejected} rejected, {left_out} left out"
        parts = [fates.format_map(self.num_images)]
        for split, by_class in self.counts.items():
            listed = ", ".join(f"{name} {number}" for name, number in by_class.items())
            parts.append(f"{split} {sum(by_class.values())} ({listed})")
        return "; ".join(parts)


def read_prepared(folder: Path) -> Prepared:
    """Read prepared.json; check that every listed shard exists and is unchanged.

    Raises:
        DatasetError: the folder, a key or a shard is missing, or a shard has changed.
    """
    read = read_json(folder / DOCUMENT)
    try:
        document: dict[str, Any] = {"notes": [], "sound": None} | read
        document = {k: tuple(v) if isinstance(v, list) else v for k, v in document.items()}
        prepared = Prepared(folder, **{f.name: document[f.name] for f in fields(Prepared)[1:]})
    except (KeyError, TypeError) as error:
        raise DatasetError(f"{folder / DOCUMENT}: lacks {error}; run prepare again") from None
    require_files(folder, prepared.files, listed_in=DOCUMENT, stage="prepare")
    return prepared
