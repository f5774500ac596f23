import io
import time

import numpy as np
import pytest
from PIL import Image, ImageFilter

from ganaug.errors import DatasetError
from ganaug.preparing.checks import Candidate
from ganaug.preparing.decode import Form, decode_image
from ganaug.preparing.near_duplicates import DISTANCE, find_near_pairs, join_near_duplicates
from ganaug.preparing.reading import thumbnail
from ganaug.sources.registry import load_source
from ganaug.thumbnails import thumbnails


def picture(seed, *, side=128):
    """A smooth grey picture of its own."""
    coarse = np.random.default_rng(seed).integers(0, 256, (8, 8), dtype=np.uint8)
    return Image.fromarray(coarse).resize((side, side), Image.Resampling.BICUBIC)


def small(image, file_format="PNG", **options):
    buffer = io.BytesIO()
    image.save(buffer, format=file_format, **options)
    return thumbnail(decode_image(buffer.getvalue(), Form(64, 1, 2**26)))


def candidate(name, thumb, group=None, split=None):
    return Candidate(name, "cat", group, split, f"id-{name}", thumb, png=None)


def joined(*candidates, distance=DISTANCE):
    groups, notes = join_near_duplicates(candidates, distance=distance)
    assert len(groups) == len(candidates)
    return groups, notes


COPIES = {
    "compressed": lambda x: small(x, "JPEG", quality=50),
    "halved": lambda x: small(x.resize((64, 64), Image.Resampling.LANCZOS)),
    "doubled": lambda x: small(x.resize((256, 256), Image.Resampling.BICUBIC)),
    "dimmed": lambda x: small(x.point(lambda v: 0.8 * v)),
    "blurred": lambda x: small(x.filter(ImageFilter.GaussianBlur(1))),
    "noisy": lambda x: small(
        Image.fromarray(
            np.clip(np.asarray(x) + np.random.default_rng(0).normal(0, 5, (128, 128)), 0, 255)
            .round()
            .astype(np.uint8)
        )
    ),
}


@pytest.mark.parametrize("kind", COPIES)
def test_a_copy_stays_with_its_original(kind):
    thumbs = [small(picture(seed)) for seed in range(30)]
    copies = [COPIES[kind](picture(seed)) for seed in range(30)]
    pairs = find_near_pairs([*thumbs, *copies], distance=DISTANCE)
    assert pairs.tolist() == [[i, i + 30] for i in range(30)]


@pytest.mark.parametrize(("source", "resolution"), [("elpv", 64), ("digits", 16)])
def test_images_that_look_alike_by_nature_are_not_joined(shipped_params, source, resolution):
    params = shipped_params.prepare.model_copy(update={"source": source})
    images = list(load_source(params).images)[::3]
    form = Form(resolution, 1, 2**26)
    thumbs = [thumbnail(decode_image(image.content, form)) for image in images]
    assert params.near_duplicate_distance == DISTANCE
    flips = load_source(params).facts.symmetries
    assert len(find_near_pairs(thumbs, distance=DISTANCE, symmetries=flips)) == 0


def test_a_chain_of_copies_takes_the_group_of_its_first_image():
    a, b = small(picture(0)), small(picture(1))
    near, nearer = COPIES["noisy"](picture(0)), COPIES["compressed"](picture(0))
    groups, (note,) = joined(
        candidate("a", a), candidate("b", b), candidate("c", near), candidate("d", nearer)
    )
    assert groups == ["id-a", "id-b", "id-a", "id-a"]
    assert note.startswith("3 pairs of near-duplicates are kept together; the largest group, id-a,")


def test_groups_that_share_a_near_duplicate_become_one():
    a, near, b = small(picture(0)), COPIES["dimmed"](picture(0)), small(picture(1))
    groups, _ = joined(
        candidate("1", b, "anna"),
        candidate("2", near, "anna"),
        candidate("3", a, "bert"),
        candidate("4", small(picture(2)), "bert"),
        candidate("5", small(picture(3)), "carl"),
    )
    assert groups == ["anna", "anna", "anna", "anna", "carl"]


def test_pairs_across_given_splits_are_refused_at_once():
    a, near, nearer = small(picture(0)), COPIES["dimmed"](picture(0)), COPIES["noisy"](picture(0))
    with pytest.raises(
        DatasetError, match=r"^2 pairs .* say a and b: .*; remove one image of each"
    ):
        joined(
            candidate("a", a, split="train"),
            candidate("b", near, split="test"),
            candidate("c", nearer, split="train"),
        )
    groups, _ = joined(candidate("a", a, split="train"), candidate("c", nearer, split="train"))
    assert groups == ["id-a", "id-a"]


def test_a_new_image_joins_the_split_of_its_original():
    a, near = small(picture(0)), COPIES["dimmed"](picture(0))
    groups, notes = joined(candidate("a", a, split="train"), candidate("new", near))
    assert groups == ["id-a", "id-a"]
    assert [note.split()[0] for note in notes] == ["1"]


@pytest.mark.parametrize("flips", [("hflip",), ("vflip",), ("hflip", "vflip")])
def test_flipped_copies_are_found_where_images_may_be_flipped(flips):
    axes = [{"hflip": 1, "vflip": 0}[name] for name in flips]
    mirrored = [Image.fromarray(np.flip(np.asarray(picture(i)), axes)) for i in range(9)]
    thumbs = [*(small(picture(i)) for i in range(9)), *map(small, mirrored)]
    found = find_near_pairs(thumbs, distance=DISTANCE, symmetries=("hflip", "vflip"))
    assert found.tolist() == [[i, i + 9] for i in range(9)]
    assert len(find_near_pairs(thumbs, distance=DISTANCE)) == 0


def test_prepare_and_evaluate_see_the_same_distances():
    pixels = np.stack([np.asarray(picture(i, side=64))[..., None] for i in range(40)])
    noise = np.random.default_rng(0).integers(-9, 10, pixels.shape)
    both = np.concatenate([pixels, np.clip(pixels + noise, 0, 255).astype(np.uint8)])
    as_bytes, ready = [thumbnail(x) for x in both], thumbnails(both)
    found = [
        find_near_pairs(thumbs, distance=d, symmetries=("hflip",)).tolist()
        for d in (0.01, 0.02, 0.03)
        for thumbs in (as_bytes, ready)
    ]
    assert found[0] == found[1]
    assert found[2] == found[3]
    assert found[4] == found[5]
    assert len(found[2]) != len(found[4])  # the distances do lie among these


def test_nothing_near_changes_nothing_and_zero_joins_none():
    alone = [candidate(str(seed), small(picture(seed))) for seed in range(9)]
    assert joined(*alone) == ([c.image_id for c in alone], [])
    twins = [candidate(name, small(picture(0))) for name in "ab"]
    groups, (note,) = joined(*twins, distance=0)
    assert groups == ["id-a", "id-b"]
    assert "evaluate stops" in note
    assert joined() == ([], [])


def test_thousands_of_one_scene_are_one_group_in_bounded_memory():
    base = np.frombuffer(small(picture(0)), np.uint8).astype(int)
    rng = np.random.default_rng(0)
    thumbs = [
        bytes(np.clip(base + rng.integers(-1, 2, 256), 0, 255).astype(np.uint8))
        for _ in range(3000)
    ]
    groups, _ = joined(*(candidate(str(i), t) for i, t in enumerate(thumbs)))
    assert set(groups) == {"id-0"}


def test_time_grows_with_the_number_of_images_not_its_square():
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (16_000, 8, 8), dtype=np.uint8)
    thumbs = [bytes(x) for x in coarse.repeat(2, axis=1).repeat(2, axis=2)]

    def seconds(number):
        began = time.process_time()
        assert len(find_near_pairs(thumbs[:number], distance=DISTANCE)) == 0
        return time.process_time() - began

    seconds(1000)
    assert seconds(16_000) < 24 * max(seconds(2000), 0.05)
