"""The row schema of real and synthetic images, the same in every shard of every stage.

`arrow_schema` is the schema on disk; its `huggingface` metadata lets `datasets` decode images and
class names. `check_rows` checks the rules between columns.
"""

import json
from collections.abc import Sequence

import pandas as pd
import pandera.pandas as pandera
import pyarrow as pa
from pandera.errors import SchemaErrors

from ganaug.errors import DatasetError

SPLITS = ("train", "val", "test")
SOURCES = ("real", "synthetic")

FIELDS: dict[str, pa.DataType] = {
    "image": pa.struct([("bytes", pa.binary()), ("path", pa.string())]),  # PNG
    # Never null, with `weight` at the end:
    "label": pa.int64(),  # index into the class names
    "image_id": pa.string(),  # hash of shape and pixels
    "source": pa.string(),  # real | synthetic
    "split": pa.string(),  # train | val | test
    # Null on synthetic rows:
    "group_id": pa.string(),  # rows that must stay in one split
    # Null on real rows, and parent_id where an image was made from none:
    "generator_id": pa.string(),  # sha256 of generator.safetensors
    "seed": pa.int64(),  # image = f(snapshot, law of latents, class, seed)
    "parent_id": pa.string(),  # image_ids of what it was made from, with spaces between
    "label_confidence": pa.float32(),  # 0..1, of the row's class, by the filter's classifiers
    "realism": pa.float32(),  # 1: the edge of the real images' k-NN balls; higher is further inside
    "nearest_id": pa.string(),  # image_id of the nearest training image of its class
    "nearest_distance": pa.float32(),  # to it; 1: the median radius of these balls
    "weight": pa.float32(),  # in a loss; 1 in every shard: a recipe weighs rows when loaded
}
METADATA_COLUMNS = [name for name in FIELDS if name != "image"]
PROVENANCE = ["generator_id", "seed", "label_confidence", "realism", "nearest_id"]


def arrow_schema(class_names: Sequence[str]) -> pa.Schema:
    """The on-disk schema, with class names in the metadata that `datasets` reads."""
    types = {pa.int64(): "int64", pa.float32(): "float32", pa.string(): "string"}
    special: dict[str, object] = {
        "image": {"_type": "Image"},
        "label": {"names": list(class_names), "_type": "ClassLabel"},
    }
    features = {
        name: special.get(name) or {"dtype": types[kind], "_type": "Value"}
        for name, kind in FIELDS.items()
    }
    info = json.dumps({"info": {"features": features}})
    return pa.schema(list(FIELDS.items()), metadata={"huggingface": info})


def class_names_of(schema: pa.Schema) -> tuple[str, ...]:
    """Class names from a shard's schema.

    Raises:
        DatasetError: the schema is not one that `arrow_schema` made.
    """
    try:
        info = json.loads(schema.metadata[b"huggingface"])
        return tuple(info["info"]["features"]["label"]["names"])
    except (KeyError, TypeError, ValueError):
        raise DatasetError("shard without class names in its 'huggingface' metadata") from None


def _row_schema(num_classes: int) -> pandera.DataFrameSchema:
    column, check = pandera.Column, pandera.Check

    def linked(name: str, source: str) -> pandera.Check:
        return check(
            lambda rows: rows[name].notna() == (rows["source"] == source),
            error=f"{name} given exactly on {source} rows",
        )

    return pandera.DataFrameSchema(
        {
            "label": column("int64", check.in_range(0, num_classes - 1)),
            "image_id": column("string", check.str_matches(r"^[0-9a-f]{32}$")),
            "source": column("string", check.isin(SOURCES)),
            "split": column("string", check.isin(SPLITS)),
            "group_id": column("string", nullable=True),
            "generator_id": column("string", nullable=True),
            "seed": column("Int64", nullable=True),
            "parent_id": column("string", nullable=True),
            "label_confidence": column("float32", check.in_range(0, 1), nullable=True),
            "realism": column("float32", check.ge(0), nullable=True),
            "nearest_id": column("string", nullable=True),
            "nearest_distance": column("float32", check.ge(0), nullable=True),
            "weight": column("float32", check.gt(0)),
        },
        checks=[
            linked("group_id", "real"),
            *(linked(name, "synthetic") for name in PROVENANCE),
            check(
                lambda rows: (rows["source"] == "real") | (rows["split"] == "train"),
                error="synthetic rows only in split train",
            ),
            check(
                lambda rows: (rows["source"] != "real") | (rows["weight"] == 1),
                error="weight is 1 on real rows",
            ),
        ],
        coerce=True,
        ordered=True,
        strict=True,
    )


def check_rows(rows: pd.DataFrame, class_names: Sequence[str], *, where: str) -> pd.DataFrame:
    """Check the metadata columns of rows; name all broken rules at once.

    Args:
        rows: the columns `METADATA_COLUMNS`, in that order.
        class_names: what `label` indexes.
        where: place to name in the error, say the folder.
    Returns:
        The rows with normalised dtypes.
    Raises:
        DatasetError: with each broken rule and the first row that breaks it.
    """
    try:
        return _row_schema(len(class_names)).validate(rows, lazy=True)
    except SchemaErrors as error:
        cases = error.failure_cases.drop_duplicates(["column", "check"])
        problems = "; ".join(
            f"{case.check} (row {case.index}: {case.failure_case!r})" for case in cases.itertuples()
        )
        raise DatasetError(f"{where}: {problems}") from None
