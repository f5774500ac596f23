from pathlib import Path

import numpy as np

from ganaug.fileio import read_json
from ganaug.images import encode_png
from ganaug.reporting.pictures import examples_by_class, read_pairs
from ganaug.shards import read_images, read_rows, write_shards
from tests.publishing.small_run import CLASSES, rows_of, toy_images


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
