"""croissant.json: the dataset in the words of Croissant 1.1, which crawlers and loaders read.

The same dataset gives the same bytes: no clock, and a version that follows from the shards, for the
tag comes later. datePublished is stated where `merge.published` gives it.
Source: mlcommons.org/croissant/1.1, provenance in the terms of W3C PROV-O.
"""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ganaug.fileio import read_json
from ganaug.publishing.manifest import APART
from ganaug.records import FIELDS, SPLITS

CROISSANT = "croissant.json"
PARQUET = "application/x-parquet"

CONTEXT = Path(__file__).with_name("croissant.context.json")  # the official one
_TYPES = {"int64": "sc:Integer", "float": "cr:Float32", "string": "sc:Text"}


def describe_dataset(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """croissant.json from manifest.json: all shards with sha256 and origin, columns by split."""
    source = manifest["real_images"]
    beside = {name: f for name, f in manifest["files"].items() if not _is_apart(name)}
    parts = [s for s in SPLITS if any(f["split"] == s for f in beside.values())]
    parts += [APART] if len(beside) < len(manifest["files"]) else []
    date = manifest.get("published")
    return {
        "@context": read_json(CONTEXT),
        "@type": "sc:Dataset",
        "conformsTo": "http://mlcommons.org/croissant/1.1",
        "name": manifest["name"],
        "version": manifest.get("version") or _version(manifest),
        **({"datePublished": date} if date else {}),
        "description": f"Images of {source['name']} in {len(manifest['classes'])} classes"
        + (", and synthetic ones for training" if manifest["generator_id"] else "")
        + (f", which lie apart in {APART}: they are not recommended." if APART in parts else "."),
        "license": source["license"],
        "url": source["homepage"],
        "citeAs": source["citation"],
        "prov:wasDerivedFrom": _origin(source),
        "prov:wasGeneratedBy": {"@type": "prov:Activity", "prov:label": "ganaug merge"},
        "distribution": [
            *(_shard(name, facts, manifest) for name, facts in manifest["files"].items()),
            *(_shards_of(part) for part in parts),
        ],
        "recordSet": [_rows_of(part) for part in parts],
    }


def _is_apart(name: str) -> bool:
    return name.startswith(f"{APART}/")


def _version(manifest: Mapping[str, Any]) -> str:
    """A semantic version that names nothing but the content: 0.0.0+ and a hash of all shards."""
    hashes = sorted(facts["sha256"] for facts in manifest["files"].values())
    return f"0.0.0+{hashlib.sha256(' '.join(hashes).encode()).hexdigest()[:12]}"


def _origin(source: Mapping[str, Any]) -> dict[str, str]:
    """What the real images come from: by its page, or by its name where it has none."""
    if source["homepage"]:
        return {"@id": source["homepage"]}
    return {"@type": "prov:Entity", "prov:label": source["name"]}


def _shard(name: str, facts: Mapping[str, Any], manifest: Mapping[str, Any]) -> dict[str, Any]:
    origin: dict[str, Any] = {"prov:wasDerivedFrom": _origin(manifest["real_images"])}
    if facts["source"] == "synthetic":
        origin["prov:wasGeneratedBy"] = {
            "@type": "prov:Activity",
            "prov:label": "sampling of a class-conditional GAN",
            "prov:used": {"@id": f"urn:sha256:{manifest['generator_id']}"},
        }
    return {
        "@type": "cr:FileObject",
        "@id": name,
        "name": name,
        "contentUrl": name,
        "contentSize": f"{facts['bytes']} B",
        "encodingFormat": PARQUET,
        "sha256": facts["sha256"],
        **origin,
    }


def _shards_of(part: str) -> dict[str, Any]:
    """The shards of a split, or those that are kept apart."""
    return {
        "@type": "cr:FileSet",
        "@id": part,
        "name": part,
        "encodingFormat": PARQUET,
        "includes": f"{APART}/*.parquet" if part == APART else f"{part}-*.parquet",
    }


def _rows_of(part: str) -> dict[str, Any]:
    own_name = f"{part}_rows"
    fields = [_field(own_name, part, name, str(kind)) for name, kind in FIELDS.items()]
    return {"@type": "cr:RecordSet", "@id": own_name, "name": own_name, "field": fields}


def _field(rows: str, part: str, name: str, kind: str) -> dict[str, Any]:
    """A column; the image is decoded out of its PNG."""
    decoded = {"transform": {"jsonPath": "bytes"}} if name == "image" else {}
    return {
        "@type": "cr:Field",
        "@id": f"{rows}/{name}",
        "name": name,
        "dataType": "sc:ImageObject" if name == "image" else _TYPES[kind],
        "source": {"fileSet": {"@id": part}, "extract": {"column": name}, **decoded},
    }
