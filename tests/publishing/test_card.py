import re
from pathlib import Path
from typing import Any

import datasets
import pytest
from ruamel.yaml import YAML

from ganaug.publishing.card import hub_licence, markdown_text, size_category
from ganaug.records import FIELDS
from tests.publishing.small_run import CLASSES, merge


@pytest.fixture
def offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`datasets` without network, and with its cache in `tmp_path`."""
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")


def front_matter(card: str) -> dict[str, Any]:
    return YAML(typ="safe").load(card.split("---\n")[1])


@pytest.mark.usefixtures("offline")
def test_datasets_loads_splits_images_and_class_names(small_run: Path) -> None:
    merge(small_run)
    loaded = datasets.load_dataset(str(small_run / "augmented"))
    assert {name: len(part) for name, part in loaded.items()} == {
        "train": 18,
        "validation": 4,
        "test": 4,
    }
    assert loaded["train"].features["label"].names == list(CLASSES)
    assert loaded["train"][17]["image"].size == (8, 8)
    assert loaded["train"][17]["seed"] == 2**62 + 5


@pytest.mark.usefixtures("offline")
def test_the_snippets_in_the_card_run(small_run: Path) -> None:
    merge(small_run)
    card = (small_run / "augmented" / "README.md").read_text()
    snippets = re.findall(r"```python\n(.*?)```", card, flags=re.DOTALL)
    assert len(snippets) == 2
    for snippet in snippets:
        assert "data/augmented" in snippet
        names: dict[str, Any] = {}
        exec(snippet.replace("data/augmented", str(small_run / "augmented")), names)
        assert names["image"].size == (8, 8)


def test_the_front_matter_agrees_with_the_schema_and_the_counts(small_run: Path) -> None:
    merge(small_run)
    facts = front_matter((small_run / "augmented" / "README.md").read_text())
    assert [f["name"] for f in facts["dataset_info"]["features"]] == list(FIELDS)
    assert [s["num_examples"] for s in facts["dataset_info"]["splits"]] == [18, 4, 4]
    assert facts["license"] == "cc-by-nc-sa-4.0"
    assert facts["size_categories"] == ["n<1K"]
    assert "synthetic" in facts["tags"]


def test_the_card_explains_every_column_and_names_the_verdict(small_run: Path) -> None:
    merge(small_run)
    card = (small_run / "augmented" / "README.md").read_text()
    assert all(f"| `{name}` |" in card for name in FIELDS)
    assert "**Yes: they are shipped.**\nSynthetic images raise macro-F1 by 1.2 pp." in card
    assert "| +1.2 | -0.2 to +2.2 | 0.031 | 6 |" in card
    assert "| cracked | 6 | 11 | 6 | wrong class 3, unrealistic 2 |" in card
    assert r"toy \<cells\>" in card


def test_the_card_of_a_rejected_set_claims_nothing_synthetic(small_run: Path) -> None:
    merge(small_run, "ship_real_only")
    card = (small_run / "augmented" / "README.md").read_text()
    assert "synthetic" not in front_matter(card)["tags"]
    assert "**No: the real images are shipped alone, unchanged.**" in card
    assert "20\nreal" in card or "20 real" in card
    assert "No synthetic image is in this version." in card


@pytest.mark.parametrize(
    ("given", "word"),
    [
        ("CC BY-NC-SA 4.0", "cc-by-nc-sa-4.0"),
        ("CC-BY-4.0", "cc-by-4.0"),
        ("BSD-3-Clause", "bsd-3-clause"),
        ("ask Anna", "other"),
    ],
)
def test_licences_in_the_words_of_the_hub(given: str, word: str) -> None:
    assert hub_licence(given) == word


@pytest.mark.parametrize(
    ("rows", "word"), [(999, "n<1K"), (1000, "1K<n<10K"), (10**6 - 1, "100K<n<1M"), (10**6, "n>1M")]
)
def test_sizes_in_the_words_of_the_hub(rows: int, word: str) -> None:
    assert size_category(rows) == word


def test_text_can_not_break_out_of_a_table() -> None:
    assert markdown_text("a|b\n\n# <script>") == r"a\|b # \<script\>"
