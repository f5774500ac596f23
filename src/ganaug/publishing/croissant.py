"""croissant.json: the dataset described in Croissant 1.1, for crawlers and loaders.

The same dataset gives the same bytes: no clock, and a version that is a hash of the shards, since
the tag comes later. datePublished is given only if `merge.published` is.
Source: mlcommons.org/croissant/1.1, provenance in the terms of W3C PROV-O.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ganaug.publishing.manifest import APART
from ganaug.records import FIELDS, SPLITS
from ganaug.templates import render

CROISSANT = "croissant.json"
TYPES = {"int64": "sc:Integer", "float": "cr:Float32", "string": "sc:Text"}  # of columns


def describe_dataset(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """croissant.json from manifest.json: all shards with sha256 and origin, columns by split."""
    files = manifest["files"]
    where = {APART if n.startswith(f"{APART}/") else facts["split"] for n, facts in files.items()}
    parts = [part for part in (*SPLITS, APART) if part in where]
    description = (
        f"Images of {manifest['real_images']['name']} in {len(manifest['classes'])} classes"
    )
    if manifest["generator_id"]:
        description += ", and synthetic ones for training"
    if APART in parts:
        description += f", which lie apart in {APART}: they are not recommended"
    # A semantic version that names nothing but the content: 0.0.0+ and a hash of all shards.
    hashes = " ".join(sorted(facts["sha256"] for facts in files.values()))
    text = render(
        Path(__file__).with_name("croissant.json.jinja"),
        manifest=manifest,
        parts=parts,
        apart=APART,
        description=f"{description}.",
        version=f"0.0.0+{hashlib.sha256(hashes.encode()).hexdigest()[:12]}",
        types={n: "sc:ImageObject" if n == "image" else TYPES[str(k)] for n, k in FIELDS.items()},
    )
    return dict(json.loads(text))
