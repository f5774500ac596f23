import importlib.metadata
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from sklearn.datasets import load_digits

from ganaug.config import PrepareParams
from ganaug.errors import SourceError
from ganaug.images import decode_png
from ganaug.sources.base import installed
from ganaug.sources.registry import LOADERS, load_source
from tests.refusal import refuses


@pytest.fixture
def source(shipped_params):
    def source(name):
        return load_source(shipped_params.prepare.model_copy(update={"source": name}))

    return source


def test_params_and_registry_know_the_same_sources():
    assert set(get_args(PrepareParams.model_fields["source"].annotation)) == set(LOADERS)


def test_every_packaged_source_states_its_facts_and_keeps_its_word(source):
    for name in ("digits", "elpv"):
        facts, images = source(name).facts, list(source(name).images)
        assert facts.name == name
        assert all((facts.version, facts.license, facts.citation, facts.homepage))
        assert set(facts.symmetries) <= {"hflip", "vflip"}
        assert len({image.name for image in images}) == len(images)
        assert {image.class_name for image in images} == set(facts.classes)


def test_digits_are_the_packages_scaled_to_255_stand_alone_and_keep_no_flip(source):
    bunch, images = load_digits(), list(source("digits").images)
    assert len(images) == len(bunch.images)
    for image, expected, digit in zip(images[:50], bunch.images, bunch.target, strict=False):
        pixels = decode_png(image.content)
        assert pixels.shape == (8, 8, 1)
        assert np.abs(pixels[:, :, 0] / 255 - expected / 16).max() <= 0.5 / 255 + 1e-9
        assert image.class_name == str(digit)
    assert source("digits").facts.symmetries == ()
    assert {(image.group, image.split) for image in images} == {(None, None)}


def test_a_package_that_is_missing_or_holds_no_data_says_how_to_install_it():
    assert installed("scikit-learn").version == importlib.metadata.version("scikit-learn")
    labels = installed("elpv-dataset").locate_file("elpv_dataset/data/labels.csv")
    assert Path(labels).is_file()
    refuses(SourceError, "pip install no-such-9", installed, "no-such-9")
