"""croissant.json: the dataset described in Croissant 1.1, for crawlers and loaders.

The same dataset gives the same bytes: no clock, and a version that is a hash of the shards, since
the tag comes later. datePublished is given only if `merge.published` is.
Source: mlcommons.org/croissant/1.1, provenance in the terms of W3C PROV-O.
"""

import hashlib
from collections.abc import Mapping
from typing import Any

from ganaug.publishing.manifest import APART
from ganaug.records import FIELDS, SPLITS

CROISSANT = "croissant.json"
PARQUET = "application/x-parquet"

_TERMS = {  # of the official context; the rest of it follows from the prefix `cr`
    "@language": "en",
    "@vocab": "https://schema.org/",
    "sc": "https://schema.org/",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "dct": "http://purl.org/dc/terms/",
    "prov": "http://www.w3.org/ns/prov#",
    "conformsTo": "dct:conformsTo",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "description": {"@container": "@language"},
    "name": {"@container": "@language"},
}
_PLAIN_TERMS = """arrayShape citeAs column containedIn equivalentProperty extract field fileObject
    fileProperty fileSet format includes isArray isLiveDataset jsonPath key md5 parentField path
    recordSet references regex repeated replace samplingRate separator source subField transform"""
_TYPES = {"int64": "sc:Integer", "float": "cr:Float32", "string": "sc:Text"}


def describe_dataset(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """croissant.json from manifest.json: all shards with sha256 and origin, columns by split."""
    source = manifest["real_images"]
    beside = {name: f for name, f in manifest["files"].items() if not _is_apart(name)}
    parts = [s for s in SPLITS if any(f["split"] == s for f in beside.values())]
    parts += [APART] if len(beside) < len(manifest["files"]) else []
    date = manifest.get("published")
    return {
        "@context": _TERMS | {term: f"cr:{term}" for term in _PLAIN_TERMS.split()},
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
    """A semantic version made from the content: 0.0.0+ and a hash of all shards."""
    hashes = sorted(facts["sha256"] for facts in manifest["files"].values())
    return f"0.0.0+{hashlib.sha256(' '.join(hashes).encode()).hexdigest()[:12]}"


def _origin(source: Mapping[str, Any]) -> dict[str, str]:
    """The origin of the real images: its page, or its name if it has none."""
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
    """The shards of a split, or the synthetic ones that are kept apart."""
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
