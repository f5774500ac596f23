"""The sources of your own files: folder, table, parquet."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datasets import ClassLabel, Dataset, DatasetDict, Features, Image, Value
from PIL import Image as PillowImage

from ganaug.errors import SourceError
from ganaug.images import encode_png
from ganaug.preparing.prepare import prepare
from ganaug.shards import read_images, read_rows
from ganaug.sources.recognise import recognise
from ganaug.sources.registry import load_source
from tests.refusal import refuses

CLASSES = ("cat", "dog")


LABELS = ClassLabel(names=list(CLASSES))


def write_images(root, names):
    """A small PNG of its own at each name; the pixels by name."""
    rng = np.random.default_rng(0)
    pixels = {name: rng.integers(0, 256, (8, 8, 1), dtype=np.uint8) for name in names}
    for name, image in pixels.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(encode_png(image))


def listed(source):
    return [(i.name, i.class_name, i.group, i.split) for i in source.images]


def classes_and_splits(source):
    return [(image.class_name, image.split) for image in source.images]


def test_folder_gives_every_file_below_its_class(tmp_path, load):
    write_images(tmp_path, ["dog/b.png", "cat/a.png", "cat/deep/c.png"])
    (tmp_path / "cat" / "notes.txt").write_text("no image, to be rejected by name")
    (tmp_path / "cat" / ".DS_Store").write_text("")
    (tmp_path / ".git" / "x").mkdir(parents=True)
    source = load("folder", tmp_path, flips=("hflip",), license="MIT", people=True)
    cats = ("cat/a.png", "cat/notes.txt", "cat/deep/c.png")
    expected = [*((name, "cat", None, None) for name in cats), ("dog/b.png", "dog", None, None)]
    assert listed(source) == expected
    facts = source.facts
    assert (facts.classes, facts.symmetries, facts.license) == (CLASSES, ("hflip",), "MIT")
    assert facts.people


def test_split_folders_are_respected_under_any_usual_name(tmp_path, load):
    names = ["train/cat/a.png", "valid/cat/b.png", "Testing/dog/c.png", "train/dog/d.png"]
    write_images(tmp_path, names)
    splits = {name: split for name, _, _, split in listed(load("folder", tmp_path))}
    assert splits == dict(zip(names, ("train", "val", "test", "train"), strict=True))


def test_group_pattern_reads_the_group_from_the_name(tmp_path, load):
    write_images(tmp_path, ["cat/p07_1.png", "cat/p07_2.png", "dog/p11_1.png"])
    source = load("folder", tmp_path, group_pattern=r"(p\d+)_")
    assert [group for _, _, group, _ in listed(source)] == ["p07", "p07", "p11"]
    images = load("folder", tmp_path, group_pattern=r"(x\d+)_").images
    refuses(SourceError, r"finds no group in 'cat/p07_1\.png'", list, images)


def test_folder_that_can_be_misread_is_refused(tmp_path, load):
    outside = "an image outside of every class folder"
    for number, (names, match) in enumerate(
        (
            (["a.png", "cat/b.png"], rf"a\.png: {outside}"),
            (["a.jfif", "cat/b.png"], rf"a\.jfif: {outside}"),
            (["a.HEIC", "cat/b.png"], rf"a\.HEIC: {outside}"),
            (["train/a.png", "train/cat/b.png"], outside),
            (["train/cat/a.png", "extra/dog/b.png"], "'extra' lies beside split folders"),
            (["Cat/a.png", "cat /b.png"], "'Cat' and 'cat ' differ by case or space only"),
            ([".hidden/a.png"], "no class folders"),
            (["photos/cat/a.png", "photos/dog/b.png"], "if those are the classes, give .+/photos"),
        )
    ):
        write_images(tmp_path / str(number), names)
        refuses(SourceError, match, load, "folder", tmp_path / str(number))
    for source in ("folder", "table", "parquet"):
        match = r"files\.path: .+nowhere does not exist; give"
        refuses(SourceError, match, load, source, tmp_path / "nowhere")


def test_notes_beside_the_class_folders_are_no_images(tmp_path, load):
    write_images(tmp_path, ["cat.png/a.png"])  # nor is a folder, whatever it is called
    for name in ("README", "LICENSE", "info.json", "labels.csv", "paper.pdf"):
        (tmp_path / name).write_text("about the images")
    assert [name for name, *_ in listed(load("folder", tmp_path))] == ["cat.png/a.png"]


def test_table_gives_paths_labels_groups_and_splits(tmp_path, load):
    rows = pd.DataFrame({"file": ["x/1.png", "x/2.png"], "kind": ["NA", "01"]})
    rows = rows.assign(patient=["7", "8"], part=["training", "dev"])
    rows.to_csv(tmp_path / "labels.csv", index=False)
    rows.to_parquet(tmp_path / "labels.parquet")
    columns = {"image": "file", "label": "kind", "group": "patient", "split": "part"}
    for name in ("labels.csv", "labels.parquet"):
        source = load("table", tmp_path / name, table=columns)
        images = list(source.images)
        assert [(i.name, i.class_name, i.group, i.split) for i in images] == [
            ("x/1.png", "NA", "7", "train"),
            ("x/2.png", "01", "8", "val"),
        ]
        assert images[0].content == tmp_path / "x/1.png"
        assert source.facts.classes == ("01", "NA")


def test_table_that_lacks_something_or_lists_a_file_twice_says_what(tmp_path, load):
    path = tmp_path / "labels.csv"

    def table_fails(match, lines, **columns):
        path.write_text("\n".join(lines))
        refuses(SourceError, match, lambda: list(load("table", path, table=columns).images))

    lacks = ("image,label", "a.png,cat", "b.png,")
    table_fails(r"labels\.csv: row 2 has no label", lacks)
    table_fails(
        r"no column 'kind'; .+ name the right one in prepare\.table\.label", lacks, label="kind"
    )
    rows = ("age,label", "31,cat")
    table_fails(r"no column .image.; .+for rows of a table use SMOTENC", rows)
    holdout = ("image,label,split", "a.png,cat,holdout")
    table_fails("split 'holdout' is none of train, val, test", holdout, split="split")
    twice = ("image,label", "a.png,cat", "b.png,dog", "a.png,dog")
    table_fails(r"rows \[1, 3\] list 'a\.png', labelled \['cat', 'dog'\]", twice)
    for name in ("..", "a/b", "a\\b"):  # a class that could lead out of a folder
        table_fails("can't be a folder's name", ("image,label", f"a.png,{name}", "b.png,fine"))
    refuses(SourceError, r"expected \.csv or \.parquet", load, "table", tmp_path)


@pytest.fixture
def rows():
    """Images of cat, dog, cat and dog, with names in the schema."""
    pixels = np.random.default_rng(0).integers(0, 256, (4, 8, 8), dtype=np.uint8)
    content = {"image": [PillowImage.fromarray(image) for image in pixels], "label": [0, 1, 0, 1]}
    return Dataset.from_dict(content, features=Features({"image": Image(), "label": LABELS}))


def write_rows(path, labels, kind=None, **more):
    features = {"image": Value("binary"), "label": kind or Value("int64")}
    features |= {name: Value("string") for name in more}
    content = {"image": [str(i).encode() for i in range(len(labels))], "label": labels, **more}
    path.parent.mkdir(exist_ok=True, parents=True)
    Dataset.from_dict(content, features=Features(features)).to_parquet(path)


def test_parquet_of_datasets_gives_images_named_classes_and_splits(tmp_path, load, rows):
    for split, part in (("train", [0, 1]), ("test", [2, 3])):
        rows.select(part).to_parquet(tmp_path / f"{split}-00000-of-00001.parquet")
    source = load("parquet", tmp_path)
    images = list(source.images)
    assert source.facts.classes == CLASSES
    assert [(i.class_name, i.split) for i in images] == [
        (name, split) for split in ("test", "train") for name in CLASSES
    ]
    assert len({i.name for i in images}) == 4
    assert all(i.content.startswith(b"\x89PNG") for i in images)


def test_a_saved_dataset_gives_images_named_classes_and_splits(tmp_path, load, rows):
    saved = tmp_path / "saved"
    rows.save_to_disk(saved / "train", num_shards=4)  # an earlier save of more files
    DatasetDict(train=rows, test=rows.select([3])).save_to_disk(saved)
    assert recognise(str(saved)) == recognise(str(saved / "test")) == "parquet"
    source = load("parquet", saved)
    images = list(source.images)
    assert source.facts.classes == CLASSES
    train = [("cat", "train"), ("dog", "train")] * 2
    assert [(i.class_name, i.split) for i in images] == [("dog", "test"), *train]
    assert all(i.content.startswith(b"\x89PNG") for i in images)
    assert len(list(load("parquet", saved / "test").images)) == 1
    next((saved / "test").glob("*.arrow")).unlink()
    match = r"test/data-00000-of-00001\.arrow: not readable"
    refuses(SourceError, match, load, "parquet", saved)
    (saved / "test" / "state.json").write_text("{}")
    match = r"state\.json: not as `save_to_disk` writes it"
    refuses(SourceError, match, load, "parquet", saved)


def test_parquet_without_names_takes_labels_as_they_are(tmp_path, load):
    path = tmp_path / "x.parquet"
    write_rows(path, [2, 10, 11])
    assert [image.class_name for image in load("parquet", path).images] == ["2", "10", "11"]
    content = {"picture": [encode_png(np.zeros((4, 4, 1), np.uint8))], "kind": ["dog"]}
    features = Features({"picture": Value("binary"), "kind": Value("string")})
    Dataset.from_dict(content, features=features).to_parquet(path)
    source = load("parquet", path, table={"image": "picture", "label": "kind"})
    assert classes_and_splits(source) == [("dog", None)]
    refuses(
        SourceError,
        r"no column 'image'; there are picture, kind: name the right",
        load,
        "parquet",
        path,
    )


@pytest.mark.parametrize("column", ["image", "label"])
def test_a_damaged_page_is_refused_in_one_line(tmp_path, load, column):
    path = tmp_path / "x.parquet"
    rows = pd.DataFrame({"image": [b"image"] * 9, "label": ["cat"] * 9})
    rows.to_parquet(path, compression="gzip")
    chunks = pq.ParquetFile(path).metadata.row_group(0)
    chunk = next(c for c in map(chunks.column, range(2)) if c.path_in_schema == column)
    raw = bytearray(path.read_bytes())
    start = raw.index(b"\x1f\x8b", chunk.dictionary_page_offset)
    raw[start + 10 : start + 14] = b"\xff" * 4
    path.write_bytes(raw)
    match = r"x\.parquet: not readable \(.+"
    refuses(SourceError, match, lambda: list(load("parquet", path).images))


def test_parquet_whose_names_splits_or_labels_are_unclear_is_refused(tmp_path, load):
    path = tmp_path / "hub" / "a.parquet"
    write_rows(path, [-1], LABELS)
    match = "label is -1; every image needs a number of its 2 classes"
    refuses(SourceError, match, lambda: list(load("parquet", path).images))
    write_rows(path, [0, 1], part=["train", "holdout"])
    source = load("parquet", path, table={"split": "part"})
    refuses(SourceError, "split 'holdout' is none of train, val, test", list, source.images)
    write_rows(path, [0, 1], LABELS)
    write_rows(tmp_path / "hub" / "b.parquet", [0, 1], ClassLabel(names=["dog", "cat"]))
    match = "the files disagree on the class names"
    refuses(SourceError, match, load, "parquet", tmp_path / "hub")


NAMES = '{"info": {"features": {"label": {"_type": "ClassLabel", "names": %s}}}}'


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[" * 100_000,
        "[]",
        '{"info": null}',
        '{"info": {"features": 3}}',
        NAMES % "3",
        NAMES % '"ab"',
        NAMES % '[["a"]]',
    ],
)
def test_parquet_with_damaged_metadata_of_datasets_is_refused(tmp_path, load, text):
    path = tmp_path / "x.parquet"
    write_rows(path, [0, 1], LABELS)
    table = pq.read_table(path).replace_schema_metadata({"huggingface": text})
    pq.write_table(table, path)
    refuses(SourceError, "metadata `huggingface` is damaged", load, "parquet", path)


@pytest.mark.parametrize("labels", [["cat", "dog"], [0.0, 1.0]])
def test_parquet_whose_column_is_not_what_its_class_names_number_is_refused(tmp_path, load, labels):
    path = tmp_path / "x.parquet"
    write_rows(path, [0, 1], LABELS)
    table = pq.read_table(path)
    table = table.set_column(table.schema.get_field_index("label"), "label", pa.array(labels))
    pq.write_table(table, path)  # the metadata stays
    match = "every image needs a number of its 2 classes"
    refuses(SourceError, match, lambda: list(load("parquet", path).images))


def test_split_of_parquet_is_read_from_the_folder(tmp_path, load):
    for split in ("train", "test"):
        write_rows(tmp_path / "hub" / split / "0000.parquet", [0, 1])
    found = listed(load("parquet", tmp_path / "hub"))
    splits = {(name.split("/")[1], split) for name, _, _, split in found}
    assert splits == {("train", "train"), ("test", "test")}


def test_folder_exported_from_digits_prepares_to_the_same_images_and_labels(
    tmp_path, shipped_params, load
):
    params = shipped_params.prepare.model_copy(update={"source": "digits", "resolution": 16})
    for image in load_source(params).images:
        path = tmp_path / "raw" / image.class_name / image.name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(image.content)

    sources = {"a": load_source(params), "b": load("folder", tmp_path / "raw")}
    results = [
        prepare(params, seed=0, out=tmp_path / folder, source=source)[0]
        for folder, source in sources.items()
    ]
    for split in ("train", "val", "test"):
        expected, given = (result.shards(split) for result in results)
        assert np.array_equal(read_images(expected), read_images(given))
        assert read_rows(expected)[0]["label"].equals(read_rows(given)[0]["label"])


def test_arrow_whose_offsets_point_outside_is_refused_and_no_crash(tmp_path, load):
    path = tmp_path / "x.arrow"
    batch = pa.record_batch(
        [pa.array([b"a", b"b"]), pa.array(["cat", "horse"])], ["image", "label"]
    )
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_stream(file, batch.schema) as stream:
        stream.write_batch(batch)
    whole, offsets = path.read_bytes(), np.array([0, 3, 8], np.int32).tobytes()
    assert offsets in whole
    for wrong in ([0, 3, 2**30], [0, 7, 3]):
        path.write_bytes(whole.replace(offsets, np.array(wrong, np.int32).tobytes()))
        refuses(SourceError, r"x\.arrow: not readable", lambda: list(load("parquet", path).images))
