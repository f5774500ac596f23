import json
import shutil
from pathlib import Path

import albumentations
import numpy as np
import pandas as pd
import pytest
import torch
from torch.utils.data import DataLoader, Subset

from ganaug.data import (
    RecipeSampler,
    TorchImages,
    fetch,
    load_datasets,
    load_pandas,
    load_torch,
)
from ganaug.downstream.batches import row_weights
from ganaug.downstream.classical import ClassicalAugmentation
from ganaug.downstream.recipes import Recipe
from ganaug.errors import DatasetError
from ganaug.fileio import read_json, sha256_file
from ganaug.images import decode_png, pixel_id
from ganaug.records import FIELDS
from tests.publishing.small_run import CLASSES, CLASSICAL, make_old, merge, rewrite_synthetic
from tests.refusal import changed, refuses
from tests.versioned import AUGMENTED, forget_data, git, merge_again


def digests(folder):
    return {path.name: sha256_file(path) for path in folder.rglob("*") if path.is_file()}


def test_pandas_gives_all_columns_and_the_class_by_name(augmented):
    rows = load_pandas(augmented)
    assert list(rows.columns) == [*FIELDS, "class"]
    assert rows["source"].value_counts().to_dict() == {"real": 12, "synthetic": 6}
    assert [CLASSES[label] for label in rows["label"]] == rows["class"].tolist()
    assert [pixel_id(decode_png(png)) for png in rows["image"]] == rows["image_id"].tolist()


def test_real_rows_alone(augmented):
    for split, number in (("train", 12), ("val", 4), ("test", 4)):
        rows = load_pandas(augmented, split, config="real")
        assert set(rows["source"]) == {"real"}
        assert len(rows) == len(load_torch(augmented, split, config="real")) == number


def test_each_config_loads_whatever_the_verdict_says(small_run):
    merge(small_run, "undecided")
    folder = small_run / "augmented"
    for config, number in (("default", 12), ("real", 12), ("augmented", 18)):
        assert len(load_pandas(folder, config=config)) == number
        assert len(load_torch(folder, config=config)) == number
        assert len(load_pandas(folder, "val", config=config)) == 4
    merge(small_run, "undecided", on_reject="real_only")
    for load in (load_pandas, load_torch):
        match = "no config 'augmented' in this dataset; there are"
        refuses(DatasetError, match, load, folder, config="augmented")


def test_an_old_dataset_loads_as_it_was_measured(augmented):
    make_old(augmented)
    for config, number, share in (("default", 18, 0.5), ("real", 12, 0), ("augmented", 18, 0.5)):
        train = load_torch(augmented, config=config)
        assert len(train) == len(load_pandas(augmented, config=config)) == number
        assert train.recipe == Recipe(balanced=False, share=share)


def test_torch_gives_images_labels_and_weights_in_batches(augmented):
    rows = load_pandas(augmented)
    images, labels, weights = next(iter(DataLoader(load_torch(augmented), batch_size=18)))
    assert images.shape == (18, 1, 8, 8)
    assert images.dtype == weights.dtype == torch.float32
    assert labels.dtype == torch.int64
    expected = np.stack([decode_png(png) for png in rows["image"]]).transpose(0, 3, 1, 2) / 255
    np.testing.assert_allclose(images.numpy(), expected, atol=1e-6)
    assert labels.tolist() == rows["label"].tolist()
    assert weights.tolist() == [1.0] * 12 + [0.5] * 6  # as the recipe says
    assert (rows["weight"] == 1).all()


def test_the_recipe_that_did_best_comes_with_the_images(augmented):
    recipes = read_json(augmented / "manifest.json")["recipes"]
    for network in ("cnn", "linear"):
        for config in ("default", "real", "augmented"):
            train = load_torch(augmented, config=config, network=network)
            assert train.recipe == Recipe(**recipes[network][config]["recipe"])
    assert train.recipe == Recipe(share=0.25, weight=0.5)
    match = "no network 'vit' in this dataset; there are cnn, lin"
    refuses(DatasetError, match, load_torch, augmented, network="vit")


def make_images(real, synthetic, recipe):
    """Images of which only label and source matter, so many of each class."""
    rows = pd.concat(
        [
            pd.DataFrame({"label": np.repeat(np.arange(len(numbers)), numbers), "source": source})
            for source, numbers in (("real", real), ("synthetic", synthetic))
        ],
        ignore_index=True,
    )
    return rows, TorchImages(rows.assign(weight=1.0, image=b""), recipe)


def drawn(images, **options):
    """Label and source of each slot, [steps, slots]."""
    batches = np.array(list(RecipeSampler(images, **options)))
    return images.labels.numpy()[batches], images.synthetic[batches]


@pytest.mark.parametrize("schedule", ["mix", "first"])
@pytest.mark.parametrize("balanced", [True, False])
def test_batches_hold_the_share_and_the_classes_of_the_recipe(balanced, schedule):
    recipe = Recipe(balanced=balanced, share=0.25, schedule=schedule)
    _, images = make_images((60, 30, 10), (40, 80, 20), recipe)
    labels, synthetic = drawn(images, batch_size=20, num_steps=200)
    assert labels.shape == (200, 20)
    until = 140 if schedule == "first" else 200
    assert (synthetic[:until].sum(axis=1) == 5).all()
    assert not synthetic[until:].any()  # the last 30 % of the steps
    law = np.array([1 / 3] * 3 if balanced else [0.6, 0.3, 0.1])
    for part in (labels, labels[:until], labels[synthetic], labels[~synthetic]):
        counts = np.bincount(part.ravel(), minlength=3) / part.size
        np.testing.assert_allclose(counts, law, atol=0.01)


def test_a_class_without_synthetic_images_takes_real_ones():
    _, images = make_images((60, 30, 10), (0, 80, 0), Recipe(share=0.5))
    labels, synthetic = drawn(images, batch_size=12, num_steps=100)
    assert set(labels[synthetic]) == {1}
    assert (np.bincount(labels.ravel()) == 400).all()
    assert synthetic.sum() == pytest.approx(200, abs=2)  # half of its own slots


def test_every_image_is_drawn_once_before_any_of_its_class_is_again():
    _, images = make_images((6, 6), (4, 4), Recipe(share=0.4))
    rows = np.concatenate(list(RecipeSampler(images, batch_size=10, num_steps=2)))
    assert sorted(rows) == list(range(20))


def test_batches_are_repeated_by_their_seed_and_real_alone_without_a_share(augmented):
    train = load_torch(augmented, config="augmented")
    first, again, other = (
        list(RecipeSampler(train, batch_size=8, num_steps=20, seed=seed)) for seed in (0, 0, 1)
    )
    assert first == again != other
    plain = RecipeSampler(train, batch_size=8, num_steps=20, recipe=Recipe(balanced=False))
    assert len(plain) == 20
    assert not train.synthetic[np.array(list(plain))].any()
    images, labels, weights = next(iter(DataLoader(train, batch_sampler=plain)))
    assert (len(images), len(labels), weights.tolist()) == (8, 8, [1.0] * 8)


def test_a_share_of_images_that_are_not_there_is_refused(augmented):
    train = load_torch(augmented, config="real")
    match = "no synthetic image, and the recipe asks for 25%"
    options = {"batch_size": 8, "num_steps": 20, "recipe": Recipe(share=0.25)}
    refuses(DatasetError, match, RecipeSampler, train, **options)


@pytest.mark.parametrize("balanced", [True, False])
@pytest.mark.parametrize("schedule", ["mix", "first"])
@pytest.mark.parametrize("synthetic", [(40, 80, 20), (0, 80, 20)])
def test_weights_for_all_rows_at_once_say_how_often_the_sampler_draws_them(
    balanced, schedule, synthetic
):
    recipe = Recipe(balanced=balanced, share=0.25, schedule=schedule, weight=0.5)
    rows, images = make_images((60, 30, 10), synthetic, recipe)
    labels, is_synthetic = drawn(images, batch_size=20, num_steps=2000)
    weights = row_weights(rows["label"].to_numpy(), images.synthetic, recipe)
    expected = pd.Series(weights / weights.sum()).groupby([rows["label"], rows["source"]]).sum()
    slots = pd.DataFrame({"label": labels.ravel(), "synthetic": is_synthetic.ravel()})
    counts = slots.groupby(["label", "synthetic"]).size()
    counts = counts.mul(np.where(counts.index.get_level_values("synthetic"), 0.5, 1))
    np.testing.assert_allclose(expected, counts / counts.sum(), atol=0.005)
    assert weights.sum() == pytest.approx((~images.synthetic).sum())


def test_pandas_gives_the_weights_of_a_network_where_it_is_named(augmented):
    rows = load_pandas(augmented, network="linear")
    recipe = load_torch(augmented, network="linear").recipe
    synthetic = (rows["source"] == "synthetic").to_numpy()
    weights = row_weights(rows["label"].to_numpy(), synthetic, recipe)
    assert rows["weight"].tolist() == pytest.approx(weights.tolist())
    assert (load_pandas(augmented, "val", network="linear")["weight"] == 1).all()


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
    assert set(load_datasets(augmented, config="real")["train"]["source"]) == {"real"}


def test_no_such_split_and_no_dataset_are_told(augmented, tmp_path):
    match = "no split 'validation'; there are train, val, test"
    refuses(DatasetError, match, load_pandas, augmented, "validation")
    refuses(DatasetError, r"manifest\.json: no such file", load_torch, tmp_path)


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
    assert len(load_pandas(new, config="augmented")) == len(load_pandas(old)) == 18
    forget_data(versioned)
    assert fetch("main", repo=str(versioned), cache=tmp_path / "cache") == new


def test_versions_that_do_not_exist_are_told_in_one_line(versioned, tmp_path):
    where = {"repo": str(versioned), "cache": tmp_path / "cache"}
    refuses(DatasetError, "at augmented@v9: unknown Git revision", fetch, "augmented@v9", **where)
    refuses(DatasetError, "at main: .*data/none", fetch, "main", path="data/none", **where)


def test_a_version_that_was_never_pushed_leaves_nothing_behind(versioned, tmp_path):
    forget_data(versioned)
    cache = tmp_path / "cache"
    refuses(DatasetError, "is it pushed", fetch, "main", repo=str(versioned), cache=cache)
    assert not any(cache.glob("*"))


def stored(repo):
    """Files in DVC's cache."""
    return {path for path in (repo / ".dvc" / "cache" / "files").rglob("*") if path.is_file()}


def test_a_verdict_that_changes_its_mind_stores_no_shard_again(versioned):
    before = stored(versioned)
    merge_again(versioned, "undecided")
    assert all(b"PAR1" not in path.read_bytes()[:4] for path in stored(versioned) - before)


def test_another_synthetic_set_adds_its_own_bytes_to_the_cache_of_dvc(versioned):
    before = stored(versioned)
    rewrite_synthetic(versioned / "run", 9, images_seed=7)
    merge_again(versioned)
    added = {path: path.stat().st_size for path in stored(versioned) - before}
    shard = (versioned / AUGMENTED / "train-synthetic-00000.parquet").stat().st_size
    sizes = sorted(added.values())
    assert shard in sizes
    small = {"README.md", "manifest.json", "croissant.json"}
    beside = [(versioned / AUGMENTED / name).stat().st_size for name in small]
    listing = [size for path, size in added.items() if path.name.endswith(".dir")]
    assert sizes == sorted([shard, *beside, *listing])
    assert len(listing) == 1


@pytest.mark.parametrize("damage", [lambda b: b[: len(b) // 2], changed, lambda _: b""])
def test_what_the_remote_changed_is_refused_and_not_kept(versioned, tmp_path, damage):
    shutil.rmtree(versioned / AUGMENTED)
    largest = max(stored(versioned), key=lambda path: path.stat().st_size)
    largest.chmod(0o644)
    largest.write_bytes(damage(largest.read_bytes()))
    cache = tmp_path / "cache"
    refuses(DatasetError, "at main: ", fetch, "main", repo=str(versioned), cache=cache)
    assert list(cache.iterdir()) == []


def test_a_lost_connection_and_a_missing_home_are_told_in_one_line(
    versioned, tmp_path, monkeypatch
):
    class LostError(Exception):
        """What a library raises that knows nothing of OSError."""

    def lose(*_, **__):
        raise LostError("payload is not\ncompleted")

    with monkeypatch.context() as remote:
        remote.setattr("dvc.api.DVCFileSystem.get", lose)
        where = {"repo": str(versioned), "cache": tmp_path / "cache"}
        refuses(DatasetError, "main: payload is not completed", fetch, "main", **where)
    monkeypatch.setattr(Path, "expanduser", lambda _: (_ for _ in ()).throw(RuntimeError("who?")))
    match = "there is no home folder here; name a cache"
    refuses(DatasetError, match, fetch, "main", repo=str(versioned))
