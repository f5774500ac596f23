"""The page on which people reject or relabel accepted images: self-contained, least trusted first.

Trust is the smaller of label confidence and realism, each as a multiple of the least that the
filter asks for in this class: an image at 1 was accepted by a hair.
"""

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from ganaug.curating.filter import ASKED
from ganaug.curating.reviews import COLUMNS, Review, as_text, set_id
from ganaug.errors import DatasetError
from ganaug.fileio import read_json
from ganaug.preparing.prepared import read_prepared
from ganaug.quality.parts import origins
from ganaug.shards import iter_rows, pngs_of, read_rows
from ganaug.templates import render

Item = dict[str, Any]  # a synthetic row, its trust, and PNGs: its own, the nearest, its origin's


@dataclass(frozen=True)
class Gallery:
    """Everything that the page shows."""

    source: dict[str, Any]  # of the real images: name and so on; people: True if declared
    generator_id: str
    classes: tuple[str, ...]
    by_class: dict[str, list[Item]]  # the least trusted first
    set_id: str  # of all images together

    @property
    def has_origins(self) -> bool:
        """Whether any image was made from a real one of another class."""
        return any(item["origin_png"] for items in self.by_class.values() for item in items)

    def image_ids(self) -> list[str]:
        """Of all images, in the order of the page."""
        return [item["image_id"] for items in self.by_class.values() for item in items]


def read_gallery(prepared: Path, synthetic: Path) -> Gallery:
    """Read the accepted images, the nearest real one, and that of another class they come from.

    Raises:
        DatasetError: a shard or a nearest image is missing, or an older version made the images.
    """
    real, generation = read_prepared(prepared), read_json(synthetic / "synthetic.json")
    if "min_scores" not in generation:
        raise DatasetError(f"{synthetic}: of an older version; run the stage generate again")
    least = [generation["min_scores"][name] for name in real.classes]
    items = [
        {**row, "png": png, "trust": trust(row, least[row["label"]])}
        for name in sorted(generation["files"])
        for row, png in iter_rows(synthetic / name)
    ]
    origin_ids = _origin_ids(items, real.shards("train"))
    wanted = {item["nearest_id"] for item in items} | set(origin_ids.values())
    pngs = pngs_of(real.shards("train"), wanted)
    if lost := sorted(wanted - pngs.keys()):
        raise DatasetError(f"{prepared}: lacks the real image {lost[0]}; rerun the stage generate")
    for item in items:
        item["nearest_png"] = pngs[item["nearest_id"]]
        item["origin_png"] = pngs.get(origin_ids.get(item["image_id"], ""))
    items.sort(key=lambda item: (item["trust"], item["image_id"]))
    return Gallery(
        source=real.source,
        generator_id=generation["generator_id"],
        classes=real.classes,
        by_class={
            name: [item for item in items if item["label"] == label]
            for label, name in enumerate(real.classes)
        },
        set_id=set_id(item["image_id"] for item in items),
    )


def _origin_ids(items: Sequence[Item], train: Sequence[Path]) -> dict[str, str]:
    """The image_id of the real image of another class that each was made from, if it was."""
    if not train:  # lost, which the nearest images will show
        return {}
    rows = read_rows(train)[0]
    ids = rows["image_id"]
    found = origins(pd.DataFrame(items, columns=["label", "parent_id"]), rows)
    return {item["image_id"]: ids[row] for item, row in zip(items, found, strict=True) if row >= 0}


def trust(row: Mapping[str, Any], least: Mapping[str, float]) -> float:
    """The smaller of the scores, as multiples of the least accepted ones; 1 is at a threshold."""
    return min(row[name] / least[name] if least[name] else math.inf for name in ASKED)


def render_page(gallery: Gallery, reviews: Sequence[Review], *, serve: bool = False) -> str:
    """The page, with earlier reviews.

    Args:
        gallery: the images.
        reviews: all of review.csv.
        serve: save to the server that gave the page, rather than download a file.
    """
    facts = {
        "columns": COLUMNS,
        "rows": reviews,
        "classes": gallery.classes,
        "generator_id": gallery.generator_id,
        "set_id": gallery.set_id,
        "version": version_of(reviews),
        "serve": serve,
    }
    template, number = Path(__file__).with_name("review.html.jinja"), len(gallery.image_ids())
    return render(template, gallery=gallery, number=number, facts=facts)


def version_of(reviews: Sequence[Review]) -> str:
    """A hash of the table, by which a page knows that it is still the one it was made from."""
    return hashlib.sha256(as_text(reviews).encode()).hexdigest()
