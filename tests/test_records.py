import pandas as pd
import pyarrow as pa

from ganaug.errors import DatasetError
from ganaug.records import FIELDS, METADATA_COLUMNS, arrow_schema, check_rows, class_names_of
from tests.refusal import refuses

CLASSES = ("cat", "dog")
REAL = {"label": 1, "image_id": "0" * 32, "source": "real", "split": "val", "group_id": "g"}
REAL |= {"weight": 1.0}
SYNTHETIC = {"label": 0, "image_id": "1" * 32, "source": "synthetic", "split": "train"}
SYNTHETIC |= {"generator_id": "ab", "seed": 7, "label_confidence": 0.9, "realism": 1.1}
SYNTHETIC |= {"nearest_id": "0" * 32, "nearest_distance": 2.5, "weight": 0.5}
REFUSED = (
    (REAL, {"label": 2}, r"in_range\(0, 1\)"),
    (REAL, {"label": -1}, r"in_range\(0, 1\)"),
    (REAL, {"image_id": "XYZ"}, "'XYZ'"),
    (REAL, {"source": "fake", "split": "dev"}, "'fake'.*'dev'|'dev'.*'fake'"),  # all at once
    (REAL, {"group_id": None}, "group_id given exactly on real rows"),
    (REAL, {"weight": 2.0}, "weight is 1 on real rows"),
    (REAL, {"weight": 0.0}, r"greater_than\(0\)"),
    (REAL, {"generator_id": "ab"}, "generator_id given exactly on synthetic rows"),
    (SYNTHETIC, {"split": "test"}, "synthetic rows only in split train"),
    (SYNTHETIC, {"group_id": "g"}, "group_id given exactly on real rows"),
    (SYNTHETIC, {"seed": None}, "seed given exactly on synthetic rows"),
    (SYNTHETIC, {"nearest_id": None}, "nearest_id given exactly on synthetic rows"),
    (SYNTHETIC, {"label_confidence": 1.5}, r"in_range\(0, 1\)"),
    (SYNTHETIC, {"realism": -1.0}, r"greater_than_or_equal_to\(0\)"),
)


def table(*rows):
    return pd.DataFrame(rows).reindex(columns=METADATA_COLUMNS)


def test_good_rows_of_both_kinds_pass_together():
    checked = check_rows(table(REAL, SYNTHETIC), CLASSES, where="here")
    assert checked["source"].tolist() == ["real", "synthetic"]
    assert checked["seed"].isna().tolist() == [True, False]
    assert (checked["label"].dtype, checked["weight"].dtype) == ("int64", "float32")


def test_each_rule_refuses_a_row_and_names_itself_and_the_place():
    tables = [(table(row | change), named) for row, change, named in REFUSED]
    tables += [(table(REAL).drop(columns="weight"), "weight")]
    tables += [(table(REAL).assign(colour="red"), "colour")]
    for rows, named in tables:
        refuses(
            DatasetError,
            f"^data/prepared: .*({named})",
            check_rows,
            rows,
            CLASSES,
            where="data/prepared",
        )


def test_the_schema_carries_the_class_names_both_ways():
    schema = arrow_schema(CLASSES)
    assert schema.names == list(FIELDS)
    assert class_names_of(schema) == CLASSES
    for metadata in (None, {"huggingface": "{}"}, {"huggingface": "not json"}, {"other": "x"}):
        foreign = pa.schema([("label", pa.int64())], metadata=metadata)
        refuses(DatasetError, "class names", class_names_of, foreign)
