import json

import albumentations
import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, Subset

from ganaug.data import fetch, load_datasets, load_pandas, load_torch
from ganaug.errors import DatasetError
from ganaug.evaluation.classical import ClassicalAugmentation
from ganaug.fileio import read_json, sha256_file
from ganaug.images import decode_png, pixel_id
from ganaug.records import FIELDS
from tests.publishing.small_run import CLASSES, CLASSICAL, rewrite_synthetic
from tests.versioned import AUGMENTED, forget_data, git, merge_again


def digests(folder):
    return {path.name: sha256_file(path) for path in folder.iterdir()}


def test_pandas_gives_all_columns_and_the_class_by_name(augmented):
    rows = load_pandas(augmented)
    assert list(rows.columns) == [*FIELDS, "class"]
    assert rows["source"].value_counts().to_dict() == {"real": 12, "synthetic": 6}
    assert [CLASSES[label] for label in rows["label"]] == rows["class"].tolist()
    assert [pixel_id(decode_png(png)) for png in rows["image"]] == rows["image_id"].tolist()


@pytest.mark.parametrize(("split", "number"), [("train", 12), ("val", 4), ("test", 4)])
def test_real_rows_alone(augmented, split, number):
    rows = load_pandas(augmented, split, real_only=True)
    assert set(rows["source"]) == {"real"}
    assert len(rows) == len(load_torch(augmented, split, real_only=True)) == number


def test_torch_gives_images_labels_and_weights_in_batches(augmented):
    rows = load_pandas(augmented)
    images, labels, weights = next(iter(DataLoader(load_torch(augmented), batch_size=18)))
    assert images.shape == (18, 1, 8, 8)
    assert (images.dtype, labels.dtype, weights.dtype) == (
        torch.float32,
        torch.int64,
        torch.float32,
    )
    expected = np.stack([decode_png(png) for png in rows["image"]]).transpose(0, 3, 1, 2) / 255
    np.testing.assert_allclose(images.numpy(), expected, atol=1e-6)
    assert labels.tolist() == rows["label"].tolist()
    assert weights.tolist() == pytest.approx(rows["weight"].tolist())


def test_synthetic_rows_count_as_much_as_the_verdict_measured(augmented):
    rows = load_pandas(augmented)
    total = rows.groupby("source")["weight"].sum()
    assert read_json(augmented / "manifest.json")["ratio"] == 1.0
    assert total["synthetic"] == pytest.approx(total["real"])
    assert (load_pandas(augmented, real_only=True)["weight"] == 1).all()


def test_classical_augmentation_is_the_one_of_the_verdict(augmented):
    policy = read_json(augmented / "classical.json")
    assert policy == json.loads(
        json.dumps(ClassicalAugmentation(("hflip",), CLASSICAL, seed=5).to_dict())
    )
    albumentations.from_dict(policy)  # as anybody can


@pytest.mark.parametrize("num_workers", [0, 1])
def test_classical_augmentation_differs_by_epoch_and_is_repeated_by_its_seed(
    augmented, num_workers
):
    train = load_torch(augmented, classical=True)
    loader = DataLoader(train, batch_size=18, num_workers=num_workers)

    def epochs():
        torch.manual_seed(0)
        return [next(iter(loader))[0] for _ in range(2)]

    (first, second), (again, _) = epochs(), epochs()
    assert (first != second).flatten(1).any(1).sum() >= 6
    torch.testing.assert_close(first, again, rtol=0, atol=0)


def test_two_workers_change_one_image_in_different_ways(augmented):
    train = load_torch(augmented, classical=True)
    same = Subset(train, [0] * 16)  # the first batch is one worker's, the second the other's
    loader = DataLoader(same, batch_size=8, num_workers=2)
    torch.manual_seed(0)
    one, other = (images for images, _, _ in loader)
    assert (one != other).flatten(1).any(1).sum() >= 6


def test_datasets_gives_decoded_images_in_three_splits(augmented, tmp_path, monkeypatch):
    import datasets

    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    loaded = load_datasets(augmented)
    assert {n: len(p) for n, p in loaded.items()} == {"train": 18, "validation": 4, "test": 4}
    assert loaded["train"].features["label"].names == list(CLASSES)
    assert loaded["train"][17]["image"].size == (8, 8)
    assert set(load_datasets(augmented, real_only=True)["train"]["source"]) == {"real"}


def test_no_such_split_and_no_dataset_are_told(augmented, tmp_path):
    with pytest.raises(DatasetError, match="no split 'validation'; there are train, val, test"):
        load_pandas(augmented, "validation")
    with pytest.raises(DatasetError, match=r"manifest\.json: no such file"):
        load_torch(tmp_path)


def test_versions_are_fetched_once_each_and_whole(versioned, tmp_path):
    git(versioned, "tag", "-a", "augmented@v1.0.0", "-m", "first")
    first = digests(versioned / AUGMENTED)
    merge_again(versioned, "ship_real_only")
    old, new = (
        fetch(rev, repo=str(versioned), cache=tmp_path / "cache")
        for rev in ("augmented@v1.0.0", "main")
    )
    assert digests(old) == first
    assert digests(new) == digests(versioned / AUGMENTED) != first
    assert "synthetic" not in set(load_pandas(new)["source"])
    forget_data(versioned)
    assert fetch("main", repo=str(versioned), cache=tmp_path / "cache") == new


@pytest.mark.parametrize(
    ("rev", "path", "reason"),
    [("augmented@v9.9.9", AUGMENTED, "unknown Git revision"), ("main", "data/none", "data/none")],
)
def test_versions_that_do_not_exist_are_told_in_one_line(versioned, tmp_path, rev, path, reason):
    with pytest.raises(DatasetError, match=reason) as caught:
        fetch(rev, repo=str(versioned), path=path, cache=tmp_path / "cache")
    assert "\n" not in str(caught.value)
    assert rev in str(caught.value)


def test_a_version_that_was_never_pushed_leaves_nothing_behind(versioned, tmp_path):
    forget_data(versioned)
    with pytest.raises(DatasetError, match="is it pushed"):
        fetch("main", repo=str(versioned), cache=tmp_path / "cache")
    assert not any((tmp_path / "cache").glob("*"))


def test_another_synthetic_set_adds_its_own_bytes_to_the_cache_of_dvc(versioned):
    def stored():
        files = (versioned / ".dvc" / "cache" / "files").rglob("*")
        return {path: path.stat().st_size for path in files if path.is_file()}

    before = stored()
    rewrite_synthetic(versioned / "run", 9, images_seed=7)
    merge_again(versioned)
    added = {path: size for path, size in stored().items() if path not in before}
    shard = (versioned / AUGMENTED / "train-synthetic-00000.parquet").stat().st_size
    sizes = sorted(added.values())
    assert shard in sizes
    small = {"README.md", "manifest.json", "croissant.json"}
    beside = [(versioned / AUGMENTED / name).stat().st_size for name in small]
    listing = [size for path, size in added.items() if path.name.endswith(".dir")]
    assert sizes == sorted([shard, *beside, *listing])
    assert len(listing) == 1
