import pytest

from ganaug.fileio import read_json, write_json
from tests.consumers import check_croissant, import_mlcroissant
from tests.publishing.small_run import GENERATOR, merge

mlcroissant = import_mlcroissant()
# It and rdflib use what newer versions of rdflib and pandas are about to take away.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

# The tag names version and date; in the file they would change the bytes of equal rows.
LEFT_OUT = {"https://schema.org/datePublished", "https://schema.org/version"}


def issues_of(folder):
    dataset = mlcroissant.Dataset(jsonld=folder / "croissant.json")
    issues = dataset.metadata.ctx.issues
    return issues.errors, {issue.split('"')[1] for issue in issues.warnings}


def test_it_is_valid_croissant_and_uses_the_official_context(augmented, caplog):
    assert issues_of(augmented) == (set(), LEFT_OUT)
    assert "not standard" not in caplog.text


def test_every_row_is_read_through_it(augmented):
    check_croissant(augmented)


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


def test_a_set_of_real_images_claims_no_generator(small_run):
    merge(small_run, "ship_real_only")
    assert "urn:sha256" not in (small_run / "augmented" / "croissant.json").read_text()
    assert issues_of(small_run / "augmented") == (set(), LEFT_OUT)


def test_images_without_a_page_come_from_their_source_by_name(small_run):
    prepared = read_json(small_run / "prepared" / "prepared.json")
    prepared["source"]["homepage"] = ""
    write_json(prepared, small_run / "prepared" / "prepared.json")
    merge(small_run, "ship")
    document = read_json(small_run / "augmented" / "croissant.json")
    assert document["prov:wasDerivedFrom"]["prov:label"] == prepared["source"]["name"]
    assert issues_of(small_run / "augmented")[0] == set()


def test_the_validation_is_not_blind(augmented):
    document = read_json(augmented / "croissant.json")
    document["recordSet"][0]["field"][0]["source"]["fileSet"]["@id"] = "elsewhere"
    write_json(document, augmented / "croissant.json")
    with pytest.raises(mlcroissant.ValidationError, match="elsewhere"):
        mlcroissant.Dataset(jsonld=augmented / "croissant.json")
