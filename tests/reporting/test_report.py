import re
import shutil
import subprocess
from collections import Counter
from html.parser import HTMLParser

import pytest
from jinja2 import UndefinedError

from ganaug.errors import DatasetError
from ganaug.fileio import sha256_file, write_json
from ganaug.reporting.provenance import code_revision
from ganaug.reporting.report import read_curves, write_report
from ganaug.shards import read_rows
from tests.publishing.small_run import GENERATOR, metrics, rewrite_synthetic, verdict
from tests.refusal import refuses
from tests.versioned import git

VOID = {"meta", "link", "img", "source", "br", "hr", "input"}


class Page(HTMLParser):
    """A page taken apart: tags with attributes, and whether each is closed in order."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.open = [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def all(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]


def report(run, decision="ship", **changes):
    """The page; `changes` are of the verdict."""
    write_json(metrics(), run / "evaluate" / "metrics.json")
    write_json(verdict(decision, run) | changes, run / "evaluate" / "verdict.json")
    paths = {name: run / name for name in ("prepared", "synthetic", "train")}
    paths |= {"out": run / "report", "evaluated": run / "evaluate", "studies": run / "studies"}
    write_report(params={"name": "<b>"}, **paths)
    return (run / "report" / "report.html").read_text()


def words(text):
    """The page's text without tags, spaces collapsed."""
    body = text[text.index("<body") :]
    return " ".join(re.sub(r"<[^>]*>", " ", body).split())


@pytest.mark.usefixtures("no_drawing")
def test_studies_of_other_data_have_a_row_a_classifier(small_run):
    assert 'id="studies"' not in report(small_run)
    delta = {"mean_pp": 1.2, "low_pp": -0.3, "high_pp": 2.7}
    cnn = {"words": "a small CNN", "plain_gain": delta, "uplift": None}
    linear = {"words": "a linear classifier", "plain_gain": delta, "uplift": delta}
    study = {
        "folds": [{"num_real": {"train": {"a": 700, "b": 600}}}] * 3,
        "networks": {"cnn": cnn, "linear": linear},
        "decision": "undecided",
    }
    write_json(study, small_run / "studies" / "digits-10.json")
    said = words(report(small_run))
    assert "digits-10 1,300 3 small CNN +1.2 [-0.3, +2.7] none made Undecided" in said
    assert "digits-10 1,300 3 linear classifier +1.2 [-0.3, +2.7] +1.2 [-0.3, +2.7]" in said


@pytest.mark.usefixtures("no_drawing")
def test_the_verdict_comes_first_and_in_plain_words(small_run):
    text = report(small_run)
    said = words(text)
    assert "<h1>Ship</h1>" in text
    sentence = verdict("ship", small_run)["sentence"]
    assert said.index(sentence) < said.index("What val chose from") < said.index("textbook arms")
    assert "+7.5 [+6.0, +8.9]" in said
    assert "+1.2 [+0.3, +2.2]" in said
    assert "<h1>Undecided: ship the real images</h1>" in report(small_run, "undecided")
    assert "<h1>Ship the real images only</h1>" in report(small_run, "ship_real_only")


@pytest.mark.usefixtures("no_drawing")
def test_the_page_is_whole_needs_nothing_from_outside_and_can_be_walked_by_keyboard(small_run):
    text = report(small_run)
    page = Page(text)
    assert page.open == page.all("script") == page.all("link") == []
    addresses = [a["src"] for a in page.all("img")]
    assert addresses
    assert all(address.startswith("data:image/png;base64,") for address in addresses)
    assert "url(" not in text
    assert "@import" not in text
    ids = Counter(a["id"] for _, a in page.tags if "id" in a)
    assert set(ids.values()) == {1}
    targets = [a["href"].removeprefix("#") for a in page.all("a")]
    assert set(targets) == set(ids)
    assert all(a["alt"] for a in page.all("img"))
    assert all(a["aria-label"] and a["tabindex"] == "0" for a in page.all("div") if a.get("role"))
    assert [tag for tag, _ in page.tags if tag in ("h1", "h2")] == ["h1", *["h2"] * 7]


@pytest.mark.usefixtures("no_drawing")
def test_the_tables_carry_the_numbers_of_the_files(small_run):
    said = words(report(small_run))
    for numbers in (
        "A: real images 70.0 1.0",
        "better (with) 72.0 0.4 4 base (without) 70.0 0.4 4",
        "clear 9 0 +0.4 [+0.3, +2.2] +0.4 [+0.3, +2.2] 0.012 0.012 0.750 0.750",
        "cracked 3 6 +2.6 [+0.3, +2.2] +2.6 [+0.3, +2.2] 0.012 \N{EN DASH} 0.750",
        "near copy doubtful class unrealistic clear 0 5 0 0 3 2 cracked 6 11 6",
        "lowest KID on val, 0.0500 after 1,024 images",
        "thumbnails 0.2% 0.3% 70.0% 60.0% 1.48 -1.5 -17.8 passed",
        "2.1% of the synthetic images hold a fragment of a training image, against 1.0%",
        "net of distances_trained, mean of classes 0.012 0.012 0.800",
        "net of distances_trained, overall 0.034 0.034 0.800",
        "Git revision in provenance.json",
        GENERATOR,
        "CC-BY-NC-SA-4.0",
    ):
        assert numbers in said, numbers


@pytest.mark.usefixtures("no_drawing")
def test_text_from_the_data_is_never_markup(small_run):
    text = report(small_run, sentence="<script>alert(1)</script>")
    assert "toy &lt;cells&gt;" in text
    assert "<script" not in text
    assert "&lt;b&gt;" in text
    assert "<b>" not in text


def test_the_revision_tells_changed_code_from_new_results(tmp_path):
    assert code_revision(tmp_path) is None
    git(tmp_path, "init", "-q")
    for name in ("params.yaml", "dvc.lock"):
        (tmp_path / name).write_text("old")
    git(tmp_path, "add", "-A")
    git(tmp_path, "commit", "-q", "-m", "First")
    for name in ("dvc.lock", "metrics.json"):
        (tmp_path / name).write_text("new")
    head = code_revision(tmp_path)
    assert re.fullmatch("[0-9a-f]{40}", head)
    (tmp_path / "params.yaml").write_text("new")
    assert code_revision(tmp_path) == f"{head} + uncommitted changes"


def test_the_same_run_gives_the_same_bytes_and_figures_as_files(small_run):
    stale = small_run / "report" / "figures" / "examples-07.png"
    stale.parent.mkdir(parents=True)
    stale.write_bytes(b"old")
    assert report(small_run) == report(small_run)
    assert {path.name for path in stale.parent.iterdir()} == {
        *("uplift.png", "training.png", "rejects.png", "closest-pairs.png"),
        *("examples-00.png", "examples-01.png"),
    }


@pytest.mark.usefixtures("no_drawing")
def test_without_a_synthetic_image_it_says_so(small_run):
    rewrite_synthetic(small_run, number=0)
    write_json([], small_run / "evaluate" / "closest_pairs.json")
    text = report(small_run, "ship_real_only")
    assert "No synthetic image was kept" in text
    assert "clear: 9 real images left, no synthetic one was kept" in text
    assert "Synthetic images kept 0" in words(text)


@pytest.mark.usefixtures("no_drawing")
def test_a_missing_fact_or_curve_is_an_error_and_not_a_gap(small_run):
    incomplete = verdict("ship", small_run)["networks"]
    del incomplete["cnn"]["recall_change_pp"]["cracked"]
    with pytest.raises(UndefinedError, match="cracked"):
        report(small_run, networks=incomplete)
    assert not (small_run / "report" / "report.html").exists()
    curves = small_run / "train" / "plots" / "metrics"
    for name in ("generator", "discriminator"):  # which family "vae" has not
        (curves / "loss" / f"{name}.tsv").unlink()
    assert list(read_curves(small_run / "train")[0]) == ["total"]
    (curves / "val" / "kid.tsv").unlink()
    match = r"val/kid\.tsv: no such curve; run the stage train"
    refuses(DatasetError, match, read_curves, small_run / "train")
    for content in (b"", b"step\tkid\n1\tx\n", b"step\tkid\n\xff\t1\n", b"a\tb\n1\t2\n"):
        (curves / "val" / "kid.tsv").write_bytes(content)
        match = r"val/kid\.tsv: no curve .*; run the stage train"
        refuses(DatasetError, match, read_curves, small_run / "train")


@pytest.mark.usefixtures("no_drawing")
def test_results_of_another_run_are_refused(small_run):
    known = sha256_file(small_run / "evaluate" / "closest_pairs.json")
    report(small_run, beside={"closest_pairs.json": known})
    match = r"closest_pairs\.json: not what the stage evaluate wrote beside verdict\.json"
    refuses(DatasetError, match, report, small_run, beside={"closest_pairs.json": "ab" * 32})
    judged = {"generator_id": "cd" * 32, "files": {}}
    refuses(
        DatasetError,
        "judged generator cdcd.*run the stage evaluate",
        report,
        small_run,
        judged=judged,
    )


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("chromium") is None, reason="needs a Chromium on the path")
def test_a_browser_shows_the_page_from_disk_without_a_complaint(small_run):
    report(small_run)
    command = ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom"]
    command += ["--virtual-time-budget=2000", "--enable-logging=stderr"]
    command += [f"--user-data-dir={small_run / 'browser'}"]
    command += [(small_run / "report" / "report.html").as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    assert "<h1>Ship</h1>" in done.stdout
    assert "CONSOLE" not in done.stderr


@pytest.mark.usefixtures("no_drawing")
def test_images_made_from_real_ones_are_shown_beside_them(small_run):
    assert 'id="origins"' not in report(small_run)
    rows, _ = read_rows(sorted((small_run / "prepared").glob("train*.parquet")))
    clear = rows["image_id"].iloc[0]
    rewrite_synthetic(small_run, parent_id=clear)
    text = report(small_run)
    assert 'id="origins"' in text
    assert "cracked: 6 real images of other classes" in text
    assert (small_run / "report" / "figures" / "origins-01.png").is_file()
