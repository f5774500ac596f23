"""Images inside Parquet or Arrow as Hugging Face `datasets` writes them: a file, or a folder.

`save_to_disk` writes Arrow. Only the files that its state.json lists are read.

The image column holds {bytes, path}; a label column of numbers gets its names from the schema.
A split is taken from a column, else from the file's name, as in train-00000-of-00001.parquet, or
from its folder's, as in train/0000.parquet.
"""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from ganaug.config import PrepareParams
from ganaug.errors import SourceError, explained
from ganaug.sources.base import Source, SourceImage
from ganaug.sources.files import (
    describe,
    find,
    group_of,
    make_image,
    named_columns,
    split_of_shard,
)
from ganaug.sources.remote import Place

ROWS_AT_A_TIME = 256
BROKEN = (pa.ArrowException, OSError, UnicodeDecodeError)


def load_parquet(params: PrepareParams) -> Source:
    """The images in the order of files and rows.

    Raises:
        SourceError: there is no file, one can't be read, or a column is missing or has the wrong
            type.
    """
    root = find(params.files.path, what="a Parquet file or a folder of them")
    paths = find_tables(root) if root.is_dir() else [root]
    if not paths:
        raise SourceError(f"{root}: no .parquet file, and nothing that `save_to_disk` wrote")
    schemas = [read_schema(path) for path in paths]
    label = params.table.label
    stated = {_class_names(*own, label) for own in zip(paths, schemas, strict=True)}
    if len(stated) > 1:
        raise SourceError(f"{root}: the files disagree on the class names: {sorted(stated)}")
    numbered = stated.pop()
    for path, schema in zip(paths, schemas, strict=True):
        wanted = list(named_columns(params.table, schema.names, path).values())
    found = (str(row[label]) for path in paths for row in _rows(path, [label]))
    facts = describe(params.files, numbered or found)
    return Source(facts, _images(paths, root, numbered, wanted, params))


def find_tables(folder: Place) -> list[Place]:
    """Find the .parquet files below a folder, and the .arrow files of saved datasets.

    Raises:
        SourceError: a state.json does not list the files.
    """
    found = list[Place](folder.rglob("*.parquet"))
    for info in folder.rglob("dataset_info.json"):
        state = info.with_name("state.json")
        if not state.is_file():  # the hub writes these beside Parquet
            continue
        try:
            parts = json.loads(state.read_bytes())["_data_files"]
            found += [state.with_name(Path(part["filename"]).name) for part in parts]
        except (OSError, ValueError, LookupError, TypeError):
            raise SourceError(f"{state}: not as `save_to_disk` writes it; save again") from None
    return sorted(found)


def read_schema(path: Place) -> pa.Schema:
    """Read the schema of a .parquet or .arrow file.

    Raises:
        SourceError: it can't be read.
    """
    with explained(SourceError, f"{path}: not readable", *BROKEN), path.open("rb") as file:
        if path.suffix.lower() != ".arrow":
            return pq.read_schema(file)
        return pa.ipc.open_stream(file).schema


def _class_names(path: Place, schema: pa.Schema, column: str) -> tuple[str, ...]:
    """Names of a ClassLabel column by number, from the metadata of `datasets`; else none."""
    text = (schema.metadata or {}).get(b"huggingface", b"{}")
    strange = (ValueError, RecursionError, AttributeError)  # no JSON, or of another form
    with explained(SourceError, f"{path}: metadata `huggingface` is damaged", *strange):
        feature = json.loads(text).get("info", {}).get("features", {}).get(column, {})
        names = feature.get("names") or [] if feature.get("_type") == "ClassLabel" else []
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise ValueError(f"class names {names!r:.80}")
        return tuple(names)


def _images(
    paths: list[Place], root: Place, names: Sequence[str], wanted: list[str], params: PrepareParams
) -> Iterator[SourceImage]:
    for path in paths:
        given = split_of_shard(path)
        for number, row in enumerate(_rows(path, wanted)):
            name = f"{path.relative_to(root.parent).as_posix()}#{number}"
            yield _image(row, name, given, names, params)


def _rows(path: Place, columns: list[str]) -> Iterator[dict[str, Any]]:
    with explained(SourceError, f"{path}: not readable", *BROKEN), path.open("rb") as file:
        if path.suffix.lower() != ".arrow":
            with pq.ParquetFile(file) as table:
                for batch in table.iter_batches(ROWS_AT_A_TIME, columns=columns):
                    yield from batch.to_pylist()
            return
        with pa.ipc.open_stream(file) as batches:
            for batch in batches:
                batch.validate(full=True)  # Arrow trusts the offsets, and a wrong one is a crash
                yield from batch.select(columns).to_pylist()


def _image(
    row: dict[str, Any], name: str, given: str | None, names: Sequence[str], params: PrepareParams
) -> SourceImage:
    columns, image, label = params.table, row[params.table.image], row[params.table.label]
    content = image.get("bytes") if isinstance(image, dict) else image
    if not isinstance(content, bytes):
        raise SourceError(f"{name}: column {columns.image!r} holds no encoded image")
    if label is None or (names and not (type(label) is int and 0 <= label < len(names))):
        wanted = f"a number of its {len(names)} classes" if names else "a class"
        raise SourceError(f"{name}: {columns.label} is {label!r}; every image needs {wanted}")
    class_name = names[label] if names else str(label)
    split = str(row[columns.split]) if columns.split else given
    group = row[columns.group] if columns.group else None
    if group is None and isinstance(image, dict) and image.get("path"):
        group = group_of(image["path"], params.files.group_pattern)
    return make_image(name, class_name, content, params.files, group=group, split=split)
