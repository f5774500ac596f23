"""The dataset card: README.md for the Hugging Face hub, `datasets` and people.

Its front matter tells `load_dataset(folder)` the shards of each split, and the features. Every
number in the text comes from the files of the run.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from ganaug.publishing.manifest import APART, files_of
from ganaug.publishing.wording import HEADLINES, without_article
from ganaug.records import FIELDS
from ganaug.templates import render

# Splits as `datasets` names them.
HUB_SPLITS = {"train": "train", "val": "validation", "test": "test"}
TYPED = ("image", "label")  # features with a type of their own

_PART = re.compile(r"-\d+\.parquet$")  # number of a shard
_LICENCES = re.compile(
    r"apache-2\.0|bsd-[23]-clause|cc0-1\.0|cc-by(-nc)?(-sa|-nd)?-[34]\.0|mit|odbl|odc-by|pddl"
)
_SIZES = [(10**3, "n<1K"), (10**4, "1K<n<10K"), (10**5, "10K<n<100K"), (10**6, "100K<n<1M")]


def hub_licence(licence: str) -> str:
    """A licence in the hub's vocabulary, else "other".

    "CC BY-NC-SA 4.0" becomes "cc-by-nc-sa-4.0".
    """
    candidate = "-".join(licence.lower().split())
    return candidate if _LICENCES.fullmatch(candidate) else "other"


def size_category(num_rows: int) -> str:
    """The hub's word for a number of rows."""
    return next((word for limit, word in _SIZES if num_rows < limit), "n>1M")


def render_card(
    manifest: Mapping[str, Any], *, verdict: Mapping[str, Any], generation: Mapping[str, Any]
) -> str:
    """The text of README.md, from the contents of manifest, verdict and synthetic.json."""
    source = manifest["real_images"]
    counts = {
        split: pd.DataFrame(by_class).sum(axis=1).to_dict()  # by source
        for split, by_class in manifest["counts"].items()
    }
    return render(
        Path(__file__).with_name("card.md.jinja"),
        manifest=manifest,
        verdict=verdict,
        generation=generation,
        source=source,
        licence=hub_licence(source["license"]),
        size=size_category(sum(sum(by_source.values()) for by_source in counts.values())),
        headline=HEADLINES[verdict["decision"]],
        without_article=without_article,
        apart=APART,
        counts=counts,
        configs={name: _splits_of(manifest, name) for name in manifest["configs"]},
        value_columns={name: str(kind) for name, kind in FIELDS.items() if name not in TYPED},
    )


def _splits_of(manifest: Mapping[str, Any], config: str) -> dict[str, dict[str, Any]]:
    """{split as the hub names it: patterns of its shards, rows, bytes} of a config."""
    splits = {}
    for split, hub in HUB_SPLITS.items():
        if shards := files_of(manifest, split, config):
            splits[hub] = {
                "patterns": list(dict.fromkeys(_PART.sub("-*.parquet", name) for name in shards)),
                "rows": sum(facts["rows"] for facts in shards.values()),
                "bytes": sum(facts["bytes"] for facts in shards.values()),
            }
    return splits
