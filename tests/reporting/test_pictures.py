from pathlib import Path

import numpy as np

from ganaug.fileio import read_json
from ganaug.images import encode_png
from ganaug.reporting.pictures import examples_by_class, read_origins, read_pairs
from ganaug.shards import read_images, read_rows, write_shards
from tests.publishing.small_run import CLASSES, GENERATOR, rows_of, toy_images


def shards(run: Path, folder: str, pattern: str = "train*.parquet") -> list[Path]:
    return sorted((run / folder).glob(pattern))


def test_examples_are_spaced_over_the_rows_of_their_class(small_run: Path) -> None:
    paths = shards(small_run, "prepared")
    everything, (rows, _) = read_images(paths), read_rows(paths)
    clear, cracked = examples_by_class(paths, 2, number=3)
    of_clear = everything[(rows["label"] == 0).to_numpy()]
    assert np.array_equal(clear, of_clear[[0, 4, 8]])
    assert np.array_equal(cracked, everything[(rows["label"] == 1).to_numpy()])


def test_a_class_without_images_and_a_set_without_shards_give_none(small_run: Path) -> None:
    examples = examples_by_class(shards(small_run, "synthetic"), 2, number=4)
    assert [len(part) for part in examples] == [0, 4]
    assert examples_by_class([], 2, number=4) == [[], []]
    assert read_pairs([], [], shards(small_run, "prepared")) == []


def test_pairs_keep_their_order_and_find_both_images(small_run: Path) -> None:
    synthetic, real = shards(small_run, "synthetic"), shards(small_run, "prepared")
    closest = read_json(small_run / "evaluate" / "closest_pairs.json")
    pairs = read_pairs(closest, synthetic, real)
    made, originals = read_images(synthetic), read_images(real)
    flipped = originals[0], originals[1][:, ::-1], originals[0][::-1, ::-1]
    for (left, right), row, real_image in zip(pairs, (5, 4, 3), flipped, strict=True):
        assert np.array_equal(left, made[row])
        assert np.array_equal(right, real_image)


def test_rows_are_counted_through_shards(tmp_path: Path) -> None:
    paths, images = [], toy_images(10, 5)
    for stem, part in (("part-0", images[:5]), ("part-1", images[5:])):
        rows, png = rows_of(part, [0] * 5, "train"), [encode_png(x) for x in part]
        paths += write_shards(rows, png, folder=tmp_path, stem=stem, class_names=CLASSES)
    (found,) = examples_by_class(paths, 1, number=3)
    assert np.array_equal(found, [images[0], images[4], images[9]])


def test_origins_are_images_of_another_class_in_the_nearest_flip(tmp_path: Path) -> None:
    real, made = toy_images(4, 0), []
    real_rows = rows_of(real, [0, 0, 1, 1], "train")
    ids = real_rows["image_id"].tolist()
    for image in (real[2][::-1], real[3], real[1]):  # of class 0, all but the last of class 1
        changed = image.copy()
        changed[0, 0] ^= 1
        made.append(changed)
    parents = [f"{ids[2]} {ids[0]}", ids[3], ids[1]]  # the second id gave a detail only
    scores = {"label_confidence": 0.9, "realism": 1.1, "nearest_distance": 2.5}
    made_rows = rows_of(made, [0] * 3, "train").assign(
        source="synthetic", group_id=None, generator_id=GENERATOR, seed=range(3), **scores
    )
    made_rows = made_rows.assign(nearest_id=ids[0], parent_id=parents)
    paths = {}
    for name, rows, images in (("real", real_rows, real), ("made", made_rows, made)):
        png = [encode_png(image) for image in images]
        paths[name] = write_shards(rows, png, folder=tmp_path, stem=name, class_names=CLASSES)
    of_clear, of_cracked = read_origins(paths["made"], paths["real"], 2, number=5)
    assert of_cracked == []
    expected = [(real[2][::-1], made[0]), (real[3], made[1])]
    assert len(of_clear) == len(expected)
    for pair, wanted in zip(of_clear, expected, strict=True):
        assert all(np.array_equal(a, b) for a, b in zip(pair, wanted, strict=True))
    assert read_origins([], paths["real"], 2, number=5) == [[], []]
