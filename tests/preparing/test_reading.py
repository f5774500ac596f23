from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from ganaug.errors import SourceError
from ganaug.images import decode_png, encode_png, pixel_id
from ganaug.parallel import map_unordered
from ganaug.preparing import reading
from ganaug.preparing.decode import Form
from ganaug.preparing.reading import read_candidates
from tests.refusal import refuses
from tests.toy_source import toy_source

WORKERS = partial(map_unordered, num_workers=3)


@pytest.fixture
def read(tmp_path):
    """Read images into a scratch folder of their own."""

    def read(images, *, resolution=16, channels=1, map_tasks=map, scratch="scratch"):
        form = Form(resolution, channels, 2**26)
        return read_candidates(images, form, scratch=tmp_path / scratch, map_tasks=map_tasks)

    return read


@pytest.fixture
def small_batches(monkeypatch):
    monkeypatch.setattr("ganaug.preparing.reading.IMAGES_PER_BATCH", 10)


def test_candidates_keep_the_sources_order_and_facts(read, small_batches):
    images = list(toy_source().images)
    candidates, rejections = read(images, map_tasks=WORKERS)
    assert rejections == []
    for image, candidate in zip(images, candidates, strict=True):
        assert (candidate.name, candidate.class_name) == (image.name, image.class_name)
        assert (candidate.group, candidate.split) == (image.group, image.split)
        assert candidate.image_id == pixel_id(decode_png(bytes(candidate.png)))


def test_the_number_of_workers_and_a_second_run_change_nothing(read, small_batches):
    images = list(toy_source().images)
    one = read(images, resolution=32, channels=3)
    pngs = [bytes(candidate.png) for candidate in one[0]]
    for map_tasks in (map, WORKERS):
        assert read(images, resolution=32, channels=3, map_tasks=map_tasks) == one
        assert [bytes(candidate.png) for candidate in one[0]] == pngs
    other = read(images, resolution=32, channels=3, map_tasks=WORKERS, scratch="fresh")[0]
    assert [bytes(candidate.png) for candidate in other] == pngs


def test_what_a_killed_run_finished_is_not_read_again(read, small_batches, monkeypatch):
    images = list(toy_source().images)
    read(images[:20])  # two whole batches
    calls = []
    whole = reading._read_one
    monkeypatch.setattr(reading, "_read_one", lambda *a: calls.append(a) or whole(*a))
    candidates, _ = read(images)
    assert len(calls) == len(images) - 20
    assert [c.name for c in candidates] == [i.name for i in images]
    images[3] = replace(images[3], content=images[4].content)
    read(images, resolution=32)
    assert len(calls) == 2 * len(images) - 20  # another form: nothing serves
    read(images[:3] + images[4:], resolution=32)
    assert len(calls) == 3 * len(images) - 21


def test_the_scratch_folder_outlives_a_stop_but_not_a_refusal(tmp_path):
    def stop(error):
        with reading.scratch_folder(tmp_path / "scratch") as folder:
            folder.mkdir()
            raise error

    for error, stays in ((SourceError, False), (KeyboardInterrupt, True)):
        with pytest.raises(error):
            stop(error)
        assert (tmp_path / "scratch").exists() == stays


def test_unusable_images_are_rejected_by_name_with_their_reason(read):
    first, second, third, *rest = toy_source().images
    flat = encode_png(np.full((16, 16, 1), 7, np.uint8))
    broken = [replace(second, content=b"broken"), replace(third, content=flat)]
    candidates, rejections = read([first, *broken, *rest])
    assert [(r.file, r.reason) for r in rejections] == [
        (second.name, "unreadable"),
        (third.name, "constant"),
    ]
    assert rejections[1].detail == "every pixel is 7"
    assert len(candidates) == 1 + len(rest)


def test_a_source_that_fails_on_the_way_or_names_two_images_alike_ends_the_run(read, small_batches):
    def failing():
        yield from toy_source().images
        raise SourceError("the disk is gone")

    refuses(SourceError, "the disk is gone", read, failing(), map_tasks=WORKERS)
    images = list(toy_source().images)
    match = f"two images named '{images[0].name}'"
    refuses(SourceError, match, read, [*images, images[0]], map_tasks=WORKERS)


def test_a_name_that_no_path_can_have_is_rejected(read):
    odd = replace(next(iter(toy_source().images)), content=Path("a\0b.png"))
    _, (rejection,) = read([odd])
    assert (rejection.reason, rejection.detail) == ("unreadable", "embedded null byte")


def test_what_a_killed_run_left_is_read_again_if_a_byte_of_it_has_changed(read, tmp_path):
    images = list(toy_source().images)
    whole = [bytes(candidate.png) for candidate in read(images)[0]]
    for name in ("000000.png", "000000.json"):
        path = tmp_path / "scratch" / name
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.write_bytes(content)
        assert [bytes(candidate.png) for candidate in read(images)[0]] == whole
