from dataclasses import replace

import pytest

from ganaug.errors import DatasetError
from ganaug.preparing.prepare import prepare
from ganaug.shards import read_rows
from ganaug.sources.base import Source
from tests.refusal import refuses
from tests.toy_source import toy_source


@pytest.fixture
def params(shipped_params):
    return shipped_params.prepare.model_copy(update={"resolution": 16})


def ungrouped(keep):
    """The toy images without groups and splits, those whose number is kept."""
    source = toy_source()
    images = [replace(image, group=None, split=None) for image in source.images]
    return Source(source.facts, [image for i, image in enumerate(images) if keep(i)])


def splits_in(folder):
    rows, _ = read_rows(sorted(folder.glob("*-*.parquet")))
    return dict(zip(rows["image_id"], rows["split"], strict=True))


@pytest.mark.parametrize("one_in", [2, 3])
def test_new_images_move_none_of_an_earlier_version(params, tmp_path, one_in):
    prepare(params, seed=0, out=tmp_path / "old", source=ungrouped(lambda i: i % one_in))
    keeping = params.model_copy(update={"keep_splits": str(tmp_path / "old")})
    prepare(keeping, seed=1, out=tmp_path / "new", source=ungrouped(lambda _: True))
    old, new = splits_in(tmp_path / "old"), splits_in(tmp_path / "new")
    assert len(old) < len(new) == 64
    assert {name: new[name] for name in old} == old


def test_an_earlier_version_that_tells_nothing_is_refused(params, tmp_path):
    (tmp_path / "empty").mkdir()
    prepare(params, seed=0, out=tmp_path / "old", source=toy_source())
    for name, resolution, match in (
        ("empty", 16, "holds no shards of an earlier version"),
        ("old", 32, "none of these images; it must have been prepared with"),
    ):
        changes = {"keep_splits": str(tmp_path / name), "resolution": resolution}
        options = {"seed": 0, "out": tmp_path / "out", "source": toy_source()}
        refuses(DatasetError, match, prepare, params.model_copy(update=changes), **options)
