import re

import datasets
import pytest
from ruamel.yaml import YAML

from ganaug.fileio import read_json
from ganaug.publishing.card import hub_licence, size_category
from ganaug.records import FIELDS
from ganaug.templates import markdown_text
from tests.publishing.small_run import (
    CLASSES,
    declare_people,
    merge,
    rewrite_synthetic,
    verdict,
    write_review,
)


@pytest.fixture
def offline(tmp_path, monkeypatch):
    """`datasets` without network, and with its cache in `tmp_path`."""
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")


def card_of(run, decision="ship", **options):
    """The card of a run, merged."""
    merge(run, decision, **options)
    return (run / "augmented" / "README.md").read_text()


def front_matter(card):
    return YAML(typ="safe").load(card.split("---\n")[1])


@pytest.mark.usefixtures("offline")
@pytest.mark.parametrize(("decision", "default"), [("ship", 18), ("undecided", 12)])
def test_datasets_loads_each_config_by_name_and_the_recommended_without(
    small_run, decision, default
):
    merge(small_run, decision)
    folder = str(small_run / "augmented")
    for name, number in ((None, default), ("real", 12), ("augmented", 18)):
        loaded = datasets.load_dataset(folder, name)
        sizes = {split: len(part) for split, part in loaded.items()}
        assert sizes == {"train": number, "validation": 4, "test": 4}
        assert loaded["train"].features["label"].names == list(CLASSES)
    assert loaded["train"][17]["image"].size == (8, 8)
    assert loaded["train"][17]["seed"] == 2**62 + 5


@pytest.mark.usefixtures("offline")
@pytest.mark.parametrize("decision", ["ship", "ship_real_only"])
def test_the_snippets_in_the_card_run(small_run, decision):
    snippets = re.findall(r"```python\n(.*?)```", card_of(small_run, decision), flags=re.DOTALL)
    assert len(snippets) == 3
    for snippet in snippets:
        assert "data/augmented" in snippet
        names = {}
        exec(snippet.replace("data/augmented", str(small_run / "augmented")), names)
        image = names["image"]
        assert getattr(image, "size", None) == (8, 8) or image.shape == (32, 1, 8, 8)


def test_the_front_matter_agrees_with_the_schema_and_the_counts(small_run):
    facts = front_matter(card_of(small_run, "undecided"))
    names = ["default", "real", "augmented"]
    assert [config["config_name"] for config in facts["configs"]] == names
    assert [info["config_name"] for info in facts["dataset_info"]] == names
    for info, number in zip(facts["dataset_info"], (12, 12, 18), strict=True):
        assert [f["name"] for f in info["features"]] == list(FIELDS)
        assert [s["num_examples"] for s in info["splits"]] == [number, 4, 4]
    assert (facts["license"], facts["size_categories"]) == ("cc-by-nc-sa-4.0", ["n<1K"])
    assert "synthetic" in facts["tags"]


def test_the_card_opens_with_the_recommendation_and_both_answers(small_run):
    for decision, headline, default in (
        ("ship", "Ship", "real and synthetic images. The config `real`"),
        ("ship_real_only", "Ship the real images only", "the config `augmented` has both."),
        ("undecided", "Undecided: ship the real images", "the config `augmented` has both."),
    ):
        card = card_of(small_run, decision)
        first = card.split("---\n", 2)[2].split("\n", 12)
        assert first[3] == f"**{headline}.** Synthetic images raise macro-F1 by 1.2 pp."
        assert default in "\n".join(first)
        assert "mixup | +7.5 [+6.0, +8.9] | " in card
        assert "25% of each batch synthetic | +1.2 [+0.3, +2.2] |" in card
        assert "(11 groups of them)" in card
        assert "(6 repetitions)" in card
        assert "D-B" not in card
        assert all(f"| `{name}` |" in card for name in FIELDS)
        assert r"toy \<cells\>" in card
        assert "| cracked | 6 | 11 | 6 | doubtful class 3, unrealistic 2 |" in card
        assert "| cracked | small CNN | +2.6 | [+0.3, +2.2] |" in card


def test_the_card_without_synthetic_images_claims_none_and_says_why(small_run):
    copies = verdict("ship_real_only", small_run, passed=False)
    for decided, reason in (
        (verdict("ship_real_only", small_run), "left out, as `merge.on_reject` says."),
        (copies, "refused: some copy training images."),
    ):
        card = card_of(small_run, decided=decided, on_reject="real_only")
        assert reason in card
        assert "synthetic" not in front_matter(card)["tags"]
        assert [c["config_name"] for c in front_matter(card)["configs"]] == ["default", "real"]
        assert "No synthetic image is in this version." in card
    rewrite_synthetic(small_run, number=0)
    card = card_of(small_run, decided=verdict("ship_real_only", small_run, any_synthetic=False))
    assert "There are no synthetic ones." in card
    assert "+7.5 [+6.0, +8.9] | none | none |" in card


def test_the_card_and_the_manifest_carry_the_review_and_that_people_are_shown(small_run):
    card = card_of(small_run)
    assert "show people" not in card
    assert "looked at" not in card
    declare_people(small_run)
    for complete, words in ((False, "some of them, perhaps not all"), (True, "all of them")):
        review = write_review(small_run, complete=complete)
        card = card_of(small_run)
        assert "**These images show people**" in card
        assert rf"A\_B, CD looked at {words}, and left out 3 by eye and" in card
        assert "2 that seemed to be of another class" in card
        manifest = read_json(small_run / "augmented" / "manifest.json")
        assert manifest["review"] == review
        assert manifest["real_images"]["people"] is True
    merge(small_run, "undecided", on_reject="real_only")
    assert "review" not in read_json(small_run / "augmented" / "manifest.json")


def test_licences_sizes_and_text_are_in_the_words_of_the_hub():
    for given, word in (
        ("CC BY-NC-SA 4.0", "cc-by-nc-sa-4.0"),
        ("CC-BY-4.0", "cc-by-4.0"),
        ("BSD-3-Clause", "bsd-3-clause"),
        ("ask Anna", "other"),
    ):
        assert hub_licence(given) == word
    sizes = [size_category(rows) for rows in (999, 1000, 10**6 - 1, 10**6)]
    assert sizes == ["n<1K", "1K<n<10K", "100K<n<1M", "n>1M"]
    assert markdown_text("a|b\n\n# <script>") == r"a\|b # \<script\>"
