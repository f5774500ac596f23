"""Does the verdict deserve trust? Synthetic sets whose right verdict is known, through all of it.

Handwritten digits with a long tail of training images. The good set is made of fresh real images,
which is what a perfect generator would give.
"""

import numpy as np
import pytest
from sklearn.datasets import load_digits

from ganaug.images import encode_png
from ganaug.parallel import map_unordered
from ganaug.preparing.near_duplicates import USUAL_DISTANCE
from ganaug.preparing.prepare import prepare
from ganaug.preparing.prepared import read_prepared
from ganaug.shards import read_images, read_rows
from ganaug.sources.base import Source, SourceFacts, SourceImage
from ganaug.verdict.evaluate import evaluate
from tests.toy_synthetic import write_synthetic

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("controls")]
CLASSES = tuple("0123456789")
TRAIN = (30, 26, 22, 19, 16, 14, 12, 10, 9, 8)  # images of each class: a long tail
PER_CLASS = {"val": 20, "test": 80, "fresh": 60}
FEW = {"num_repetitions": 2, "num_steps": 2, "networks": ("cnn",)}  # where none decides


def digits():
    """{split or "fresh": (images [N, 16, 16, 1] uint8, labels [N])}, without repetition."""
    found = load_digits()
    images = np.kron(found.images, np.ones((2, 2))) * (255 / 16)
    images, parts = images.round().astype(np.uint8)[..., None], {}
    rows = {c: np.flatnonzero(found.target == c) for c in range(len(CLASSES))}
    for name, numbers in [("train", TRAIN), *((n, [k] * 10) for n, k in PER_CLASS.items())]:
        chosen = np.concatenate([rows[c][: numbers[c]] for c in rows])
        rows = {c: own[numbers[c] :] for c, own in rows.items()}
        parts[name] = images[chosen], found.target[chosen].astype(np.int64)
    return parts


@pytest.fixture(scope="module")
def parts():
    return digits()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("controls")


@pytest.fixture(scope="module")
def prepared(parts, folder, shipped_params):
    images = (
        SourceImage(
            name=f"{split}/{index}.png",
            class_name=CLASSES[label],
            group=f"{split}-{index}",
            split=split,
            content=encode_png(image),
        )
        for split in ("train", "val", "test")
        for index, (image, label) in enumerate(zip(*parts[split], strict=True))
    )
    facts = SourceFacts(
        name="digits", version="1", license="CC0-1.0", citation="", homepage="", classes=CLASSES,
        symmetries=(),
    )  # fmt: skip
    params = shipped_params.prepare.model_copy(update={"resolution": 16, "channels": 1})
    prepare(params, seed=0, out=folder / "prepared", source=Source(facts, images))
    return read_prepared(folder / "prepared")


@pytest.fixture
def verdict(prepared, folder, shipped_params, tmp_path):
    """The verdict on a synthetic set."""
    small = {"num_repetitions": 4, "num_steps": 200, "shares": (0.5,), "lr": 0.005}

    def judged(images, labels, *, wanted=None, **changes):
        made = write_synthetic(
            tmp_path / "synthetic", prepared, list(images), list(labels), wanted=wanted
        )
        params = shipped_params.evaluate.model_copy(update=small | changes)
        return evaluate(
            prepared,
            made,
            params=params,
            near_duplicate_distance=USUAL_DISTANCE,
            seed=0,
            cache=folder / "cache",
            map_tasks=map_unordered,
        )

    return judged


def reasons(found):
    assert found.verdict["decision"] == "ship_real_only"
    return " ".join(found.verdict["reasons"])


def test_fresh_real_images_ship_with_an_uplift_on_a_long_tailed_set(parts, verdict):
    found = verdict(*parts["fresh"])
    assert found.verdict["decision"] == "ship", found.verdict["reasons"]
    assert found.verdict["sentence"].startswith("The synthetic images help")
    assert found.verdict["networks"]["cnn"]["uplift"]["low_pp"] > 0


def test_repeated_real_images_are_no_uplift_over_drawing_classes_equally(parts, verdict):
    """Oversampling, the cheapest rival: val must see no gain in it, or the test images none."""
    images, labels = parts["train"]
    rows = np.random.default_rng(0).integers(len(labels), size=300)
    found = verdict(images[rows] ^ 1, labels[rows], num_steps=120)
    for facts in found.verdict["networks"].values():
        assert not (facts["chosen_share"] and facts["uplift"]["low_pp"] > 0), facts["uplift"]


def test_shuffled_labels_do_harm(parts, verdict):
    images, labels = parts["fresh"]
    shuffled = np.random.default_rng(0).permutation(labels)
    found = verdict(images, shuffled, num_steps=80)
    assert reasons(found)
    for facts in found.verdict["networks"].values():
        assert facts["uplift"]["mean_pp"] < 0 or not facts["chosen_share"]


def test_copies_of_training_images_are_called_copies(prepared, verdict):
    paths = prepared.shards("train")
    noise = np.random.default_rng(0).integers(-2, 3, (sum(TRAIN), 16, 16, 1))
    copies = np.clip(read_images(paths).astype(int) + noise, 0, 255).astype(np.uint8)
    said = reasons(verdict(copies, read_rows(paths)[0]["label"], **FEW))
    assert "in the space of thumbnails: near copies 100.0%" in said


def test_mirrored_training_images_are_called_copies(parts, verdict):
    images, labels = parts["train"]
    said = reasons(verdict(images[:, :, ::-1], labels, **FEW))
    assert "in the space of thumbnails: near copies 100.0%" in said


def test_pasted_fragments_of_training_images_are_called_copies_and_fresh_images_are_not(
    parts, verdict
):
    images, labels = parts["fresh"]
    rng, made = np.random.default_rng(0), images.copy()
    origins = parts["train"][0][rng.integers(len(parts["train"][0]), size=len(made))]
    for image, origin, y, x in zip(made, origins, *rng.integers(0, 9, (2, len(made))), strict=True):
        image[y : y + 8, x : x + 8] = origin[y : y + 8, x : x + 8]
    found = verdict(made, labels, **FEW)
    assert "in the space of fragments: with fragment 100.0%" in reasons(found)
    gate = found.metrics["memorisation"]
    assert gate["thumbnails"]["passed"]  # the rest of each image is new


def test_noise_does_not_look_like_real_images(parts, verdict):
    _, labels = parts["fresh"]
    noise = np.random.default_rng(0).integers(0, 256, (len(labels), 16, 16, 1), dtype=np.uint8)
    said = reasons(verdict(noise, labels, **FEW))
    assert said.count("does not look like its real images: 0.0% lie") >= 5


def test_a_class_that_the_generator_could_not_make_is_named(parts, verdict):
    images, labels = parts["fresh"]
    some = labels != 3
    wanted = dict.fromkeys(CLASSES, 60)
    said = reasons(verdict(images[some], labels[some], wanted=wanted, **FEW))
    assert "Class 3: images were asked for, and none was accepted." in said
    assert "Class 4: images were asked for" not in said
