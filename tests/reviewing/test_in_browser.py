"""The review page in headless Chromium, with real key presses."""

import time

import pytest

from ganaug.curating.reviews import Review, as_text, read_reviews
from ganaug.reviewing.review import read_gallery, render_page
from tests.publishing.small_run import CLASSES, GENERATOR
from tests.reviewing.browser import CHROMIUM, Browser
from tests.reviewing.gallery import write_accepted
from tests.reviewing.test_review import AWAY, serving

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="needs a Chromium on the path"),
]
DESKTOP, PHONE = {"width": 1280, "height": 800}, {"width": 360, "height": 740}
STATUS = "document.getElementById('status').textContent"


def gallery_of(run, number, *, side=8):
    write_accepted(run, number, side=side)
    return read_gallery(run / "prepared", run / "synthetic")


def downloaded(folder):
    path, until = folder / "review.csv", time.monotonic() + 30
    while not path.exists():
        assert time.monotonic() < until
        time.sleep(0.05)
    return read_reviews(path, CLASSES)


def test_keys_make_the_table_that_is_downloaded(small_run, tmp_path):
    gallery = gallery_of(small_run, 30)
    ids, page = gallery.image_ids(), tmp_path / "review.html"
    page.write_text(render_page(gallery, [AWAY, Review(ids[9], "clear", "reject", "", "CD")]))
    with Browser(tmp_path, **DESKTOP) as browser:
        browser.open(page.as_uri())
        browser.press("r", "2", "j", "r", "ArrowLeft", "1", "u", "k", "k")
        assert browser.run(STATUS) == "2 of 30: 2 rejected, 1 relabelled"
        browser.press("s")
        assert browser.run("document.activeElement.id") == "initials"
        browser.press("r", "u", "Enter")  # its text, and no commands
        browser.open(page.as_uri())  # nothing is lost
        assert browser.run(STATUS) == "1 of 30: 2 rejected, 1 relabelled"
        browser.press("ArrowDown", "r")
        browser.run("seen.click()")
        browser.press("s")
        found = downloaded(tmp_path)
        assert browser.complaints == []
    assert found == [
        AWAY,
        Review(ids[0], "clear", "reject", "", "ru"),
        Review(ids[1], "clear", "relabel", "cracked", "ru"),
        Review(ids[4], "clear", "reject", "", "ru"),  # four columns fit
        Review(ids[9], "clear", "reject", "", "CD"),
        Review(gallery.set_id, "", "reviewed", GENERATOR, "ru"),
    ]


def test_the_server_writes_what_keys_decide(small_run, tmp_path):
    gallery = gallery_of(small_run, 30)
    ids, table = gallery.image_ids(), tmp_path / "table.csv"
    table.write_text(as_text([AWAY]))
    with serving(gallery, table) as server, Browser(tmp_path, **PHONE) as browser:
        browser.open(server.url)
        browser.run("initials.focus()")
        browser.press("A", "B", "Enter", "r", "r", "u", "s")
        browser.wait(f"{STATUS}.startsWith('Saved.')")
        first = Review(ids[0], "clear", "reject", "", "AB")
        assert read_reviews(table, CLASSES) == [AWAY, first]
        browser.open(server.url)
        browser.press("r", "s")
        browser.wait(f"{STATUS}.startsWith('Saved.')")
        assert read_reviews(table, CLASSES) == [AWAY]
        assert browser.complaints == []


def test_two_thousand_images_on_a_phone(small_run, tmp_path):
    gallery = gallery_of(small_run, 2000, side=64)
    page = tmp_path / "review.html"
    page.write_text(render_page(gallery, []))
    with Browser(tmp_path, **PHONE) as browser:
        before = browser.processor_seconds()
        browser.open(page.as_uri())
        assert browser.processor_seconds() - before < 10  # 1.3 where it was written
        browser.press("r")
        assert browser.run(STATUS) == "2 of 2000: 1 rejected, 0 relabelled"
        browser.tap("[data-do=reject]")
        assert browser.run(STATUS) == "3 of 2000: 2 rejected, 0 relabelled"
        browser.press(*["j"] * 10)
        assert browser.run("document.documentElement.scrollWidth") == 360
        box = "items[current].getBoundingClientRect()"
        assert browser.run(f"{box}.top >= document.querySelector('h2').offsetHeight")
        assert browser.run(
            f"{box}.bottom <= document.querySelector('footer').getBoundingClientRect().top"
        )
        sizes = browser.run(
            "[...document.querySelectorAll('.bar > *, .person label')].map(b => b.offsetHeight)"
        )
        assert min(sizes) >= 44
        assert browser.complaints == []
