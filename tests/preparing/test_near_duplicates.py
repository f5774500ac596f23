import time

import numpy as np
from PIL import Image, ImageFilter

from ganaug.errors import DatasetError
from ganaug.preparing.decode import Form, decode_image
from ganaug.preparing.near_duplicates import USUAL_DISTANCE, find_near_pairs, join_near_duplicates
from ganaug.preparing.reading import thumbnail
from ganaug.sources.registry import load_source
from ganaug.thumbnails import thumbnails
from tests.preparing.made_up import candidate, encoded, picture
from tests.refusal import refuses


def small(image, file_format="PNG", **options):
    return thumbnail(decode_image(encoded(image, file_format, **options), Form(64, 1, 2**26)))


def near_pairs(thumbs, **options):
    return find_near_pairs(np.array([np.frombuffer(t, np.uint8) for t in thumbs]), **options)


def noisy(image):
    noise = np.random.default_rng(0).normal(0, 5, (128, 128))
    return small(np.clip(np.asarray(image) + noise, 0, 255).round().astype(np.uint8))


def named(name, thumb, group=None, split=None):
    return candidate(name, group=group, split=split, thumbnail=thumb)


def joined(*candidates, distance=USUAL_DISTANCE):
    groups, notes = join_near_duplicates(candidates, distance=distance)
    assert len(groups) == len(candidates)
    return groups, notes


COPIES = {
    "compressed": lambda x: small(x, "JPEG", quality=50),
    "halved": lambda x: small(x.resize((64, 64), Image.Resampling.LANCZOS)),
    "doubled": lambda x: small(x.resize((256, 256), Image.Resampling.BICUBIC)),
    "dimmed": lambda x: small(x.point(lambda v: 0.8 * v)),
    "blurred": lambda x: small(x.filter(ImageFilter.GaussianBlur(1))),
    "noisy": noisy,
}
A, B = small(picture(0)), small(picture(1))


def test_a_copy_stays_with_its_original():
    thumbs = [small(picture(seed)) for seed in range(30)]
    for kind, copy in COPIES.items():
        copies = [copy(picture(seed)) for seed in range(30)]
        pairs = near_pairs([*thumbs, *copies], distance=USUAL_DISTANCE)
        assert pairs.tolist() == [[i, i + 30] for i in range(30)], kind


def test_images_that_look_alike_by_nature_are_not_joined(shipped_params):
    for name, resolution in (("elpv", 64), ("digits", 16)):
        params = shipped_params.prepare.model_copy(update={"source": name})
        assert params.near_duplicate_distance == USUAL_DISTANCE
        source, form = load_source(params), Form(resolution, 1, 2**26)
        images = list(source.images)[::3]
        thumbs = [thumbnail(decode_image(image.content, form)) for image in images]
        flips = source.facts.symmetries
        assert len(near_pairs(thumbs, distance=USUAL_DISTANCE, symmetries=flips)) == 0, name


def test_a_chain_of_copies_takes_the_group_of_its_first_image():
    near, nearer = COPIES["noisy"](picture(0)), COPIES["compressed"](picture(0))
    groups, (note,) = joined(named("a", A), named("b", B), named("c", near), named("d", nearer))
    assert groups == ["id-a", "id-b", "id-a", "id-a"]
    assert note.startswith("3 pairs of near-duplicates are kept together; the largest group, id-a,")


def test_groups_that_share_a_near_duplicate_become_one():
    thumbs = [B, COPIES["dimmed"](picture(0)), A, small(picture(2)), small(picture(3))]
    groups = ["anna", "anna", "bert", "bert", "carl"]
    given = [named(str(i), *own) for i, own in enumerate(zip(thumbs, groups, strict=True))]
    assert joined(*given)[0] == ["anna", "anna", "anna", "anna", "carl"]


def test_pairs_across_given_splits_are_refused_and_a_new_image_joins_its_original():
    near, nearer = COPIES["dimmed"](picture(0)), COPIES["noisy"](picture(0))
    first, third = named("a", A, split="train"), named("c", nearer, split="train")
    match = "^2 pairs .* say a and b: .*; remove one image of each"
    refuses(DatasetError, match, joined, first, named("b", near, split="test"), third)
    assert joined(first, third)[0] == ["id-a", "id-a"]
    groups, notes = joined(first, named("new", near))
    assert groups == ["id-a", "id-a"]
    assert [note.split()[0] for note in notes] == ["1"]


def test_flipped_copies_are_found_where_images_may_be_flipped():
    for axes in (1, 0, (1, 0)):
        mirrored = [small(np.flip(np.asarray(picture(i)), axes).copy()) for i in range(9)]
        thumbs = [*(small(picture(i)) for i in range(9)), *mirrored]
        found = near_pairs(thumbs, distance=USUAL_DISTANCE, symmetries=("hflip", "vflip"))
        assert found.tolist() == [[i, i + 9] for i in range(9)], axes
        assert len(near_pairs(thumbs, distance=USUAL_DISTANCE)) == 0


def test_prepare_and_evaluate_see_the_same_distances():
    pixels = np.stack([np.asarray(picture(i, side=64))[..., None] for i in range(40)])
    noise = np.random.default_rng(0).integers(-9, 10, pixels.shape)
    both = np.concatenate([pixels, np.clip(pixels + noise, 0, 255).astype(np.uint8)])
    as_bytes, ready = [thumbnail(x) for x in both], thumbnails(both)
    numbers = set()
    for distance in (0.01, 0.02, 0.03):
        options = {"distance": distance, "symmetries": ("hflip",)}
        found = near_pairs(as_bytes, **options).tolist()
        assert found == find_near_pairs(ready, **options).tolist()
        numbers.add(len(found))
    assert len(numbers) > 1  # the distances do lie among these


def test_nothing_near_changes_nothing_and_zero_joins_none():
    alone = [named(str(seed), small(picture(seed))) for seed in range(9)]
    assert joined(*alone) == ([c.image_id for c in alone], [])
    groups, (note,) = joined(named("a", A), named("b", A), distance=0)
    assert groups == ["id-a", "id-b"]
    assert "nothing checks it" in note
    assert joined() == ([], [])


def test_thousands_of_one_scene_are_one_group_in_bounded_memory():
    noise = np.random.default_rng(0).integers(-1, 2, (3000, 256))
    thumbs = np.clip(np.frombuffer(A, np.uint8) + noise, 0, 255).astype(np.uint8)
    groups, _ = joined(*(named(str(i), bytes(t)) for i, t in enumerate(thumbs)))
    assert set(groups) == {"id-0"}


def test_time_grows_with_the_number_of_images_not_its_square():
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (16_000, 8, 8), dtype=np.uint8)
    thumbs = [bytes(x) for x in coarse.repeat(2, axis=1).repeat(2, axis=2)]

    def seconds(number):
        began = time.process_time()
        assert len(near_pairs(thumbs[:number], distance=USUAL_DISTANCE)) == 0
        return time.process_time() - began

    seconds(1000)
    assert seconds(16_000) < 24 * max(seconds(2000), 0.05)
