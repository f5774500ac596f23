import pytest

from ganaug.curating.reviews import (
    COLUMNS,
    Review,
    as_text,
    describe_review,
    merge_reviews,
    parse_reviews,
    read_reviews,
    set_id,
)
from ganaug.errors import DatasetError
from tests.refusal import refuses

CLASSES = ('a "b", c', "NA")
HEAD = ",".join(COLUMNS) + "\n"
ONE, TWO, GENERATOR = "1" * 32, "2" * 32, "ab" * 32
ROWS = [
    Review(ONE, CLASSES[0], "reject", "", "Ö.B"),
    Review(TWO, "NA", "relabel", CLASSES[0], "AB"),
    Review("3" * 32, "", "reviewed", GENERATOR, "AB"),
]


def test_a_table_reads_as_it_was_written_also_by_a_spreadsheet(tmp_path):
    path, text = tmp_path / "review.csv", as_text(ROWS)
    for content in (text, "\ufeff" + text.replace("\n", "\r\n") + "\r\n"):
        path.write_bytes(content.encode())
        assert read_reviews(path, CLASSES) == ROWS
    path.write_text(HEAD)
    assert read_reviews(path, CLASSES) == []


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("", "columns '', expected image_id,class,action,to_class,reviewer"),
        ("image_id,class,action,to_class\n", "columns 'image_id,class,action,to_class', expected"),
        (f"{HEAD}{ONE},NA,reject,", "row 1: 4 values, expected 5"),
        (f"{HEAD}\n{ONE},dog,reject,,AB\n", "row 2: class 'dog', expected a \"b\", c, NA"),
        (f"{HEAD}{ONE[1:]},NA,reject,,AB\n", "image_id '1{31}', expected 32 hexadecimal digits"),
        (f"{HEAD}{ONE},NA,keep,,AB\n", "action 'keep', expected reject, relabel, reviewed"),
        (f"{HEAD}{ONE},NA,reject,NA,AB\n", "to_class 'NA'"),
        (f"{HEAD}{ONE},NA,relabel,NA,AB\n", "to_class 'NA', expected another class"),
        (f"{HEAD}{ONE},,reviewed,{ONE},AB\n", "to_class '1{32}'"),
        (f"{HEAD}{ONE},NA,reviewed,{GENERATOR},AB\n", "class 'NA'"),
        (f"{HEAD}{ONE},NA,reject,,=1+1\n", "reviewer '=1[+]1', expected 1 to 8 letters"),
        (f'{HEAD}{ONE},"NA', "not a table in CSV"),
    ],
)
def test_a_bad_table_is_refused_with_the_row_and_the_reason(text, match):
    refuses(DatasetError, f"^t: .*{match}", parse_reviews, text, CLASSES, where="t")


def test_a_table_that_is_absent_or_no_text_is_refused(tmp_path):
    path = tmp_path / "review.csv"
    refuses(DatasetError, f"no such file; .* is {HEAD.strip()}", read_reviews, path, CLASSES)
    path.write_bytes(b"\xff\xfe")
    refuses(DatasetError, "not text in UTF-8", read_reviews, path, CLASSES)


def test_what_is_shown_is_replaced_and_the_rest_is_kept():
    later = [Review(ONE, "NA", "reject", "", "AB"), ROWS[2]]
    assert merge_reviews(ROWS, later, shown={ONE, TWO}) == [ROWS[2], later[0]]
    assert merge_reviews(ROWS, later, shown=()) == [*ROWS, later[0]]


def test_only_this_generators_images_are_counted_and_a_set_has_one_name():
    def described(left_out, generator_id=GENERATOR):
        facts = {"left_out": left_out, "accepted": [TWO, ONE], "generator_id": generator_id}
        return describe_review([*ROWS, seen], **facts).get("review")

    seen = Review(set_id([ONE, TWO]), "", "reviewed", "cd" * 32, "CD")
    counts = {"rejected": 1, "relabelled": 1, "reviewers": ["AB", "Ö.B"], "complete": False}
    assert described([ONE, TWO]) == counts
    assert described([], "ef" * 32) is None
    none = {"rejected": 0, "relabelled": 0}
    assert described([], "cd" * 32) == none | {"reviewers": ["CD"], "complete": True}
