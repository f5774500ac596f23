"""croissant.json: the dataset in the words of Croissant 1.1, which crawlers and loaders read.

Version and date are left out: the same rows give the same bytes, and the tag names the version.
Source: mlcommons.org/croissant/1.1, provenance in the terms of W3C PROV-O.
"""

from collections.abc import Mapping
from typing import Any

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
    splits = [s for s in SPLITS if any(f["split"] == s for f in manifest["files"].values())]
    return {
        "@context": _TERMS | {term: f"cr:{term}" for term in _PLAIN_TERMS.split()},
        "@type": "sc:Dataset",
        "conformsTo": "http://mlcommons.org/croissant/1.1",
        "name": manifest["name"],
        "description": f"Images of {source['name']} in {len(manifest['classes'])} classes"
        + (", and synthetic ones for training." if manifest["generator_id"] else "."),
        "license": source["license"],
        "url": source["homepage"],
        "citeAs": source["citation"],
        "prov:wasDerivedFrom": _origin(source),
        "prov:wasGeneratedBy": {"@type": "prov:Activity", "prov:label": "ganaug merge"},
        "distribution": [
            *(_shard(name, facts, manifest) for name, facts in manifest["files"].items()),
            *(_shards_of(split) for split in splits),
        ],
        "recordSet": [_rows_of(split) for split in splits],
    }


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


def _shards_of(split: str) -> dict[str, Any]:
    return {
        "@type": "cr:FileSet",
        "@id": split,
        "name": split,
        "encodingFormat": PARQUET,
        "includes": f"{split}-*.parquet",
    }


def _rows_of(split: str) -> dict[str, Any]:
    own_name = f"{split}_rows"
    fields = [_field(own_name, split, name, str(kind)) for name, kind in FIELDS.items()]
    return {"@type": "cr:RecordSet", "@id": own_name, "name": own_name, "field": fields}


def _field(rows: str, split: str, name: str, kind: str) -> dict[str, Any]:
    """A column; the image is decoded out of its PNG."""
    decoded = {"transform": {"jsonPath": "bytes"}} if name == "image" else {}
    return {
        "@type": "cr:Field",
        "@id": f"{rows}/{name}",
        "name": name,
        "dataType": "sc:ImageObject" if name == "image" else _TYPES[kind],
        "source": {"fileSet": {"@id": split}, "extract": {"column": name}, **decoded},
    }
