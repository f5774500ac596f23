from typing import get_args

import pytest

from ganaug.config import PrepareParams
from ganaug.errors import SourceError
from ganaug.sources.registry import LOADERS, load_source


def test_params_and_registry_know_the_same_sources():
    assert set(get_args(PrepareParams.model_fields["source"].annotation)) == set(LOADERS)


@pytest.mark.parametrize("name", ["digits", "elpv"])
def test_every_packaged_source_states_its_facts_and_keeps_its_word(shipped_params, name):
    source = load_source(shipped_params.prepare.model_copy(update={"source": name}))
    facts = source.facts
    assert facts.name == name
    assert all((facts.version, facts.license, facts.citation, facts.homepage))
    assert set(facts.symmetries) <= {"hflip", "vflip"}
    images = list(source.images)
    assert len({image.name for image in images}) == len(images)
    assert {image.class_name for image in images} == set(facts.classes)


def test_an_unknown_source_names_those_there_are(shipped_params):
    params = shipped_params.prepare.model_copy(update={"source": "mnist"})
    with pytest.raises(SourceError, match=r"no source 'mnist'; there are archive, digits, elpv"):
        load_source(params)
