"""A table of paths and labels: .csv or .parquet, one row per image, paths relative to it."""

from collections.abc import Iterator
from typing import Any

import pandas as pd
import pyarrow as pa

from ganaug.config import FilesParams, PrepareParams, TableParams
from ganaug.errors import SourceError, explained
from ganaug.sources.base import Source, SourceImage
from ganaug.sources.files import describe, find, make_image, named_columns
from ganaug.sources.remote import Place


def load_table(params: PrepareParams) -> Source:
    """The images in the order of the rows.

    Raises:
        SourceError: the table can't be read, lacks a column, or a row lacks a value.
    """
    path = find(params.files.path, what="a .csv or .parquet file")
    rows = read_table(path, params.table)
    return Source(describe(params.files, rows["label"]), _images(rows, path.parent, params.files))


def read_table(path: Place, columns: TableParams) -> pd.DataFrame:
    """Columns `image`, `label`, and `group`, `split` where named, all text.

    Raises:
        SourceError: see `load_table`.
    """
    if path.suffix.lower() not in (".csv", ".parquet"):
        raise SourceError(f"{path}: expected .csv or .parquet")
    broken = explained(SourceError, f"{path}: not readable", OSError, ValueError, pa.ArrowException)
    with broken, path.open("rb") as file:
        if path.suffix.lower() == ".csv":  # as text, for a class may be called "NA" or "01"
            table = pd.read_csv(file, dtype=str, keep_default_na=False)
        else:
            table = pd.read_parquet(file)
    named = named_columns(columns, table.columns, path)
    rows = table[list(named.values())].set_axis(list(named), axis=1).reset_index(drop=True)
    for key, column in named.items():
        missing = rows[key].isna() | (rows[key].astype(str).str.strip() == "")
        if missing.any():
            raise SourceError(f"{path}: row {missing.argmax() + 1} has no {column}; fill it in")
    twice = rows["image"].duplicated(keep=False)
    if twice.any():
        first = rows.loc[twice, "image"].iloc[0]
        same = rows[rows["image"] == first]
        numbers, labels = (same.index + 1).tolist(), same["label"].tolist()
        raise SourceError(f"{path}: rows {numbers} list {first!r}, labelled {labels}; keep one")
    text: pd.DataFrame = rows.astype(str)
    return text


def _images(rows: pd.DataFrame, root: Place, params: FilesParams) -> Iterator[SourceImage]:
    records: Any = rows.to_dict("records")
    for row in records:
        name, label = row.pop("image"), row.pop("label")
        yield make_image(name, label, root / name, params, **row)  # with group, split where given
