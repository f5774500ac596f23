import pandas as pd
import pyarrow as pa
import pytest

from ganaug.errors import DatasetError
from ganaug.records import FIELDS, METADATA_COLUMNS, arrow_schema, check_rows, class_names_of

CLASSES = ("cat", "dog")
REAL = {
    "label": 1,
    "image_id": "0" * 32,
    "source": "real",
    "split": "val",
    "group_id": "g",
    "weight": 1.0,
}
SYNTHETIC = {
    "label": 0,
    "image_id": "1" * 32,
    "source": "synthetic",
    "split": "train",
    "generator_id": "ab",
    "seed": 7,
    "label_confidence": 0.9,
    "realism": 1.1,
    "nearest_id": "0" * 32,
    "nearest_distance": 2.5,
    "weight": 0.5,
}


def table(*rows):
    return pd.DataFrame(rows).reindex(columns=METADATA_COLUMNS)


def test_good_rows_of_both_kinds_pass_together():
    checked = check_rows(table(REAL, SYNTHETIC), CLASSES, where="here")
    assert checked["source"].tolist() == ["real", "synthetic"]
    assert checked["label"].dtype == "int64"
    assert checked["seed"].isna().tolist() == [True, False]
    assert checked["weight"].dtype == "float32"


@pytest.mark.parametrize(
    ("row", "change", "named"),
    [
        (REAL, {"label": 2}, "in_range(0, 1)"),
        (REAL, {"label": -1}, "in_range(0, 1)"),
        (REAL, {"image_id": "XYZ"}, "'XYZ'"),
        (REAL, {"source": "fake"}, "'fake'"),
        (REAL, {"split": "dev"}, "'dev'"),
        (REAL, {"group_id": None}, "group_id given exactly on real rows"),
        (REAL, {"weight": 2.0}, "weight is 1 on real rows"),
        (REAL, {"weight": 0.0}, "greater_than(0)"),
        (REAL, {"generator_id": "ab"}, "generator_id given exactly on synthetic rows"),
        (SYNTHETIC, {"split": "test"}, "synthetic rows only in split train"),
        (SYNTHETIC, {"group_id": "g"}, "group_id given exactly on real rows"),
        (SYNTHETIC, {"seed": None}, "seed given exactly on synthetic rows"),
        (SYNTHETIC, {"nearest_id": None}, "nearest_id given exactly on synthetic rows"),
        (SYNTHETIC, {"label_confidence": 1.5}, "in_range(0, 1)"),
        (SYNTHETIC, {"realism": -1.0}, "greater_than_or_equal_to(0)"),
    ],
)
def test_each_rule_refuses_a_row_and_names_itself_and_the_place(row, change, named):
    with pytest.raises(DatasetError) as caught:
        check_rows(table(row | change), CLASSES, where="data/prepared")
    assert str(caught.value).startswith("data/prepared: ")
    assert named in str(caught.value)


def test_all_broken_rules_are_named_at_once():
    with pytest.raises(DatasetError, match=r"'fake'.*'dev'|'dev'.*'fake'"):
        check_rows(table(REAL | {"source": "fake", "split": "dev"}), CLASSES, where="x")


def test_a_missing_or_further_column_is_refused():
    with pytest.raises(DatasetError, match="weight"):
        check_rows(table(REAL).drop(columns="weight"), CLASSES, where="x")
    with pytest.raises(DatasetError, match="colour"):
        check_rows(table(REAL).assign(colour="red"), CLASSES, where="x")


def test_the_schema_carries_the_class_names_both_ways():
    schema = arrow_schema(CLASSES)
    assert schema.names == list(FIELDS)
    assert class_names_of(schema) == CLASSES


@pytest.mark.parametrize(
    "metadata", [None, {"huggingface": "{}"}, {"huggingface": "not json"}, {"other": "x"}]
)
def test_a_foreign_schema_has_no_class_names(metadata):
    schema = pa.schema([("label", pa.int64())], metadata=metadata)
    with pytest.raises(DatasetError, match="class names"):
        class_names_of(schema)
