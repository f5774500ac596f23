import re

import pytest

from benchmarks.consumers import check_croissant, import_mlcroissant
from ganaug.fileio import read_json, write_json
from tests.publishing.small_run import GENERATOR, merge

mlcroissant = import_mlcroissant()
# It and rdflib use what newer versions of rdflib and pandas are about to take away.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


def issues_of(folder):
    dataset = mlcroissant.Dataset(jsonld=folder / "croissant.json")
    issues = dataset.metadata.ctx.issues
    return issues.errors, {issue.split('"')[1] for issue in issues.warnings}


def document_of(run, *arguments, **options):
    merge(run, *arguments, **options)
    return read_json(run / "augmented" / "croissant.json")


def test_it_is_valid_croissant_in_the_official_context_and_dated_only_on_request(small_run, caplog):
    made = document_of(small_run, published="2026-07-01")
    assert issues_of(small_run / "augmented") == (set(), set())
    assert "not standard" not in caplog.text
    assert f"urn:sha256:{GENERATOR}" in str(made)
    real = document_of(small_run, "ship_real_only", on_reject="real_only", published="2026-07-01")
    assert issues_of(small_run / "augmented") == (set(), set())
    assert "urn:sha256" not in str(real)
    document_of(small_run)  # the date is never the clock's
    assert issues_of(small_run / "augmented") == (set(), {"https://schema.org/datePublished"})


def test_the_version_follows_from_the_shards_alone(small_run):
    same, places = (document_of(small_run, d)["version"] for d in ("ship", "undecided"))
    fewer = document_of(small_run, "ship_real_only", on_reject="real_only")["version"]
    assert same == places != fewer
    assert all(re.fullmatch(r"0\.0\.0\+[0-9a-f]{12}", version) for version in (same, fewer))


@pytest.mark.parametrize("decision", ["ship", "undecided"])
def test_every_row_is_read_through_it(small_run, decision):
    merge(small_run, decision)
    assert issues_of(small_run / "augmented")[0] == set()
    check_croissant(small_run / "augmented")


def test_hashes_and_origins_are_those_of_the_manifest(augmented):
    manifest, document = (read_json(augmented / f"{n}.json") for n in ("manifest", "croissant"))
    shards = {d["@id"]: d for d in document["distribution"] if d["@type"] == "cr:FileObject"}
    assert {n: s["sha256"] for n, s in shards.items()} == {
        n: facts["sha256"] for n, facts in manifest["files"].items()
    }
    assert all(s["prov:wasDerivedFrom"] == document["prov:wasDerivedFrom"] for s in shards.values())
    made = {n: s["prov:wasGeneratedBy"] for n, s in shards.items() if "prov:wasGeneratedBy" in s}
    assert [activity["prov:used"]["@id"] for activity in made.values()] == [
        f"urn:sha256:{GENERATOR}"
    ]
    assert list(made) == ["train-synthetic-00000.parquet"]


def test_images_without_a_page_come_from_their_source_by_name(small_run):
    prepared = read_json(small_run / "prepared" / "prepared.json")
    prepared["source"]["homepage"] = ""
    write_json(prepared, small_run / "prepared" / "prepared.json")
    origin = document_of(small_run)["prov:wasDerivedFrom"]
    assert origin["prov:label"] == prepared["source"]["name"]
    assert issues_of(small_run / "augmented")[0] == set()


def test_the_validation_is_not_blind(augmented):
    document = read_json(augmented / "croissant.json")
    document["recordSet"][0]["field"][0]["source"]["fileSet"]["@id"] = "elsewhere"
    write_json(document, augmented / "croissant.json")
    with pytest.raises(mlcroissant.ValidationError, match="elsewhere"):
        mlcroissant.Dataset(jsonld=augmented / "croissant.json")
