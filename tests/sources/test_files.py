"""The sources of your own files: folder, table, parquet."""

import numpy as np
import pandas as pd
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

CLASSES = ("cat", "dog")


def write_images(root, names):
    """A small PNG of its own at each name; the pixels by name."""
    rng = np.random.default_rng(0)
    pixels = {name: rng.integers(0, 256, (8, 8, 1), dtype=np.uint8) for name in names}
    for name, image in pixels.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(encode_png(image))
    return pixels


def listed(source):
    return [(i.name, i.class_name, i.group, i.split) for i in source.images]


def test_folder_gives_every_file_below_its_class(tmp_path, load):
    write_images(tmp_path, ["dog/b.png", "cat/a.png", "cat/deep/c.png"])
    (tmp_path / "cat" / "notes.txt").write_text("no image, to be rejected by name")
    (tmp_path / "cat" / ".DS_Store").write_text("")
    (tmp_path / ".git" / "x").mkdir(parents=True)
    source = load("folder", tmp_path, flips=("hflip",), license="MIT")
    assert listed(source) == [
        ("cat/a.png", "cat", None, None),
        ("cat/notes.txt", "cat", None, None),
        ("cat/deep/c.png", "cat", None, None),
        ("dog/b.png", "dog", None, None),
    ]
    assert source.facts.classes == CLASSES
    assert source.facts.symmetries == ("hflip",)
    assert source.facts.license == "MIT"


def test_split_folders_are_respected_under_any_usual_name(tmp_path, load):
    names = ["train/cat/a.png", "valid/cat/b.png", "Testing/dog/c.png", "train/dog/d.png"]
    write_images(tmp_path, names)
    splits = {name: split for name, _, _, split in listed(load("folder", tmp_path))}
    assert splits == dict(zip(names, ("train", "val", "test", "train"), strict=True))


def test_group_pattern_reads_the_group_from_the_name(tmp_path, load):
    write_images(tmp_path, ["cat/p07_1.png", "cat/p07_2.png", "dog/p11_1.png"])
    source = load("folder", tmp_path, group_pattern=r"(p\d+)_")
    assert [group for _, _, group, _ in listed(source)] == ["p07", "p07", "p11"]
    with pytest.raises(SourceError, match=r"finds no group in 'cat/p07_1\.png'"):
        listed(load("folder", tmp_path, group_pattern=r"(x\d+)_"))


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["a.png", "cat/b.png"], r"a\.png: an image outside of every class folder"),
        (["a.jfif", "cat/b.png"], r"a\.jfif: an image outside of every class folder"),
        (["a.HEIC", "cat/b.png"], r"a\.HEIC: an image outside of every class folder"),
        (["train/a.png", "train/cat/b.png"], "an image outside of every class folder"),
        (["train/cat/a.png", "extra/dog/b.png"], "'extra' lies beside split folders"),
        (["Cat/a.png", "cat /b.png"], "'Cat' and 'cat ' differ by case or space only"),
        ([".hidden/a.png"], "no class folders"),
    ],
)
def test_folder_that_can_be_misread_is_refused(tmp_path, load, names, message):
    write_images(tmp_path, names)
    with pytest.raises(SourceError, match=message):
        load("folder", tmp_path)


def test_notes_beside_the_class_folders_are_no_images(tmp_path, load):
    write_images(tmp_path, ["cat.png/a.png"])  # nor is a folder, whatever it is called
    for name in ("README", "LICENSE", "info.json", "labels.csv", "paper.pdf"):
        (tmp_path / name).write_text("about the images")
    assert [name for name, *_ in listed(load("folder", tmp_path))] == ["cat.png/a.png"]


@pytest.mark.parametrize("source", ["folder", "table", "parquet"])
def test_missing_path_is_named(tmp_path, load, source):
    with pytest.raises(SourceError, match=r"files\.path: .+nowhere does not exist; give"):
        load(source, tmp_path / "nowhere")


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_table_gives_paths_labels_groups_and_splits(tmp_path, load, suffix):
    rows = pd.DataFrame(
        {
            "file": ["x/1.png", "x/2.png"],
            "kind": ["NA", "01"],
            "patient": ["7", "8"],
            "part": ["training", "dev"],
        }
    )
    path = tmp_path / f"labels{suffix}"
    if suffix == ".csv":
        rows.to_csv(path, index=False)
    else:
        rows.to_parquet(path)
    columns = {"image": "file", "label": "kind", "group": "patient", "split": "part"}
    source = load("table", path, table=columns)
    images = list(source.images)
    assert [(i.name, i.class_name, i.group, i.split) for i in images] == [
        ("x/1.png", "NA", "7", "train"),
        ("x/2.png", "01", "8", "val"),
    ]
    assert images[0].content == tmp_path / "x/1.png"
    assert source.facts.classes == ("01", "NA")


def test_table_that_lacks_something_says_what(tmp_path, load):
    path = tmp_path / "labels.csv"
    path.write_text("image,label\na.png,cat\nb.png,\n")
    with pytest.raises(SourceError, match=r"labels\.csv: row 2 has no label"):
        load("table", path)
    with pytest.raises(SourceError, match=r"no column 'kind' \(prepare\.table\.label\); there are"):
        load("table", path, table={"label": "kind"})
    path.write_text("image,label,split\na.png,cat,holdout\n")
    with pytest.raises(SourceError, match="split 'holdout' is none of train, val, test"):
        listed(load("table", path, table={"split": "split"}))
    with pytest.raises(SourceError, match=r"expected \.csv or \.parquet"):
        load("table", tmp_path)


@pytest.mark.parametrize("name", ["..", "a/b", "a\\b"])
def test_class_that_could_lead_out_of_a_folder_is_refused(tmp_path, load, name):
    (tmp_path / "labels.csv").write_text(f"image,label\na.png,{name}\nb.png,fine\n")
    with pytest.raises(SourceError, match="can't be a folder's name"):
        load("table", tmp_path / "labels.csv")


@pytest.fixture
def hub_folder(tmp_path):
    """A folder as `datasets` writes it, train and test, with names in the schema."""
    pixels = write_images(tmp_path / "files", [f"{i}.png" for i in range(4)])
    features = Features({"image": Image(), "label": ClassLabel(names=list(CLASSES))})
    (tmp_path / "hub").mkdir()
    for split, part in (("train", [0, 1]), ("test", [2, 3])):
        images = [PillowImage.fromarray(pixels[f"{i}.png"][:, :, 0]) for i in part]
        data = Dataset.from_dict({"image": images, "label": [0, 1]}, features=features)
        data.to_parquet(tmp_path / "hub" / f"{split}-00000-of-00001.parquet")
    return tmp_path / "hub"


def test_parquet_of_datasets_gives_images_named_classes_and_splits(hub_folder, load):
    source = load("parquet", hub_folder)
    assert source.facts.classes == CLASSES
    images = list(source.images)
    assert [(i.class_name, i.split) for i in images] == [
        ("cat", "test"),
        ("dog", "test"),
        ("cat", "train"),
        ("dog", "train"),
    ]
    assert len({i.name for i in images}) == 4
    assert all(i.content.startswith(b"\x89PNG") for i in images)


def test_parquet_without_names_takes_text_labels(tmp_path, load):
    rows = Dataset.from_dict(
        {"picture": [encode_png(np.zeros((4, 4, 1), np.uint8))], "kind": ["dog"]},
        features=Features({"picture": Value("binary"), "kind": Value("string")}),
    )
    rows.to_parquet(tmp_path / "x.parquet")
    source = load("parquet", tmp_path / "x.parquet", table={"image": "picture", "label": "kind"})
    assert [(i.class_name, i.split) for i in source.images] == [("dog", None)]
    with pytest.raises(SourceError, match=r"no column 'image' .+; there are picture, kind"):
        load("parquet", tmp_path / "x.parquet")


def write_rows(path, labels, names=None, **more):
    kind = ClassLabel(names=names) if names else Value("int64")
    features = Features({"image": Value("binary"), "label": kind})
    features |= {name: Value("string") for name in more}
    content = {"image": [str(i).encode() for i in range(len(labels))], "label": labels, **more}
    path.parent.mkdir(exist_ok=True, parents=True)
    Dataset.from_dict(content, features=Features(features)).to_parquet(path)


@pytest.fixture
def saved(tmp_path):
    """Train and test as `save_to_disk` leaves them, over an earlier save of more files."""
    features = Features({"image": Image(), "label": ClassLabel(names=list(CLASSES))})
    pixels = np.random.default_rng(0).integers(0, 256, (4, 8, 8), dtype=np.uint8)
    content = {"image": [PillowImage.fromarray(image) for image in pixels], "label": [0, 1, 0, 1]}
    rows = Dataset.from_dict(content, features=features)
    rows.save_to_disk(tmp_path / "saved" / "train", num_shards=4)
    DatasetDict(train=rows, test=rows.select([3])).save_to_disk(tmp_path / "saved")
    return tmp_path / "saved"


def test_a_saved_dataset_gives_images_named_classes_and_splits(saved, load):
    assert recognise(str(saved)) == "parquet"
    source = load("parquet", saved)
    images = list(source.images)
    assert source.facts.classes == CLASSES
    assert [(i.class_name, i.split) for i in images] == [
        ("dog", "test"),
        *[("cat", "train"), ("dog", "train")] * 2,
    ]
    assert all(i.content.startswith(b"\x89PNG") for i in images)
    assert recognise(str(saved / "test")) == "parquet"
    assert len(list(load("parquet", saved / "test").images)) == 1


def test_a_saved_dataset_that_lost_a_file_or_its_list_is_refused(saved, load):
    next((saved / "test").glob("*.arrow")).unlink()
    with pytest.raises(SourceError, match=r"test/data-00000-of-00001\.arrow: not readable"):
        load("parquet", saved)
    (saved / "test" / "state.json").write_text("{}")
    with pytest.raises(SourceError, match=r"state\.json: not as `save_to_disk` writes it"):
        load("parquet", saved)


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
    with pytest.raises(SourceError, match=r"x\.parquet: not readable \(.+") as caught:
        list(load("parquet", path).images)
    assert "\n" not in str(caught.value)


def test_numbers_without_names_are_their_own_names(tmp_path, load):
    write_rows(tmp_path / "x.parquet", [2, 10, 11])
    source = load("parquet", tmp_path / "x.parquet")
    assert [image.class_name for image in source.images] == ["2", "10", "11"]


def test_files_with_other_class_names_are_refused(tmp_path, load):
    write_rows(tmp_path / "hub" / "a.parquet", [0, 1], names=["cat", "dog"])
    write_rows(tmp_path / "hub" / "b.parquet", [0, 1], names=["dog", "cat"])
    with pytest.raises(SourceError, match="the files disagree on the class names"):
        load("parquet", tmp_path / "hub")


def test_split_is_read_from_the_folder_and_an_unknown_one_refused(tmp_path, load):
    write_rows(tmp_path / "hub" / "train" / "0000.parquet", [0, 1])
    write_rows(tmp_path / "hub" / "test" / "0000.parquet", [0, 1])
    splits = {
        name.split("/")[1]: split for name, _, _, split in listed(load("parquet", tmp_path / "hub"))
    }
    assert splits == {"train": "train", "test": "test"}
    write_rows(tmp_path / "x.parquet", [0, 1], part=["train", "holdout"])
    with pytest.raises(SourceError, match="split 'holdout' is none of train, val, test"):
        listed(load("parquet", tmp_path / "x.parquet", table={"split": "part"}))


def test_table_that_lists_a_file_twice_names_the_rows(tmp_path, load):
    (tmp_path / "labels.csv").write_text("image,label\na.png,cat\nb.png,dog\na.png,dog\n")
    with pytest.raises(
        SourceError, match=r"rows \[1, 3\] list 'a\.png', labelled \['cat', 'dog'\]"
    ):
        load("table", tmp_path / "labels.csv")


def test_unlabelled_row_is_refused(tmp_path, load):
    features = Features({"image": Value("binary"), "label": ClassLabel(names=list(CLASSES))})
    rows = Dataset.from_dict({"image": [b"x"], "label": [-1]}, features=features)
    rows.to_parquet(tmp_path / "x.parquet")
    with pytest.raises(SourceError, match="label is -1; every image needs a class"):
        listed(load("parquet", tmp_path / "x.parquet"))


def test_folder_exported_from_digits_prepares_to_the_same_images_and_labels(
    tmp_path, shipped_params, load
):
    params = shipped_params.prepare.model_copy(update={"source": "digits", "resolution": 16})
    for image in load_source(params).images:
        path = tmp_path / "raw" / image.class_name / image.name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(image.content)

    def prepared(folder, source):
        result, _ = prepare(params, seed=0, out=tmp_path / folder, source=source)
        return {
            split: (read_images(result.shards(split)), read_rows(result.shards(split))[0]["label"])
            for split in ("train", "val", "test")
        }

    expected = prepared("a", load_source(params))
    given = prepared("b", load("folder", tmp_path / "raw"))
    for split, (images, labels) in expected.items():
        assert np.array_equal(images, given[split][0])
        assert labels.equals(given[split][1])
