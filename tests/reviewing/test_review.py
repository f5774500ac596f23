import base64
import http.client
import re
import threading
from contextlib import contextmanager

import pandas as pd
import pytest
from typer.testing import CliRunner

from ganaug.cli import app
from ganaug.curating.reviews import Review, as_text, read_reviews
from ganaug.errors import DatasetError, GanaugError
from ganaug.fileio import read_json, write_json
from ganaug.images import decode_png, pixel_id
from ganaug.reviewing.review import read_gallery, render_page, trust, version_of
from ganaug.reviewing.server import LOOPBACK, MOST_BYTES, ReviewServer
from ganaug.shards import read_rows
from tests.publishing.small_run import CLASSES, GENERATOR, rewrite_synthetic
from tests.refusal import refuses
from tests.reporting.test_report import Page
from tests.reviewing.gallery import rename_class, write_accepted

AWAY = Review("0" * 32, "clear", "reject", "", "XY")  # of another generator


@pytest.fixture
def rows(small_run):
    write_accepted(small_run, 30)
    return read_rows([small_run / "synthetic" / "train-synthetic-00000.parquet"])[0]


@pytest.fixture
def gallery(small_run, rows):
    return read_gallery(small_run / "prepared", small_run / "synthetic")


def uri_id(uri):
    return pixel_id(decode_png(base64.b64decode(uri.removeprefix("data:image/png;base64,"))))


def test_every_accepted_image_is_there_once_beside_its_nearest_least_trusted_first(gallery, rows):
    page = Page(render_page(gallery, []))
    assert page.open == page.all("link") == []
    shown = pd.DataFrame([item for item in page.all("li") if "id" in item])
    assert sorted(shown["id"]) == sorted(rows["image_id"])
    rows = rows.set_index("image_id").loc[shown["id"]]
    assert shown["data-label"].astype(int).tolist() == rows["label"].tolist() == [0] * 15 + [1] * 15
    pictures = [uri_id(image["src"]) for image in page.all("img")]
    assert pictures[0::2] == shown["id"].tolist()
    assert pictures[1::2] == rows["nearest_id"].tolist()
    order = (rows["label_confidence"] / 0.6).clip(upper=rows["realism"])
    assert all(part.is_monotonic_increasing for _, part in order.groupby(rows["label"]))


def test_an_image_made_from_one_of_another_class_has_it_beside_it(small_run, gallery):
    assert "third the real image of" not in render_page(gallery, [])
    train, _ = read_rows([small_run / "prepared" / "train-real-00000.parquet"])
    clear, cracked = (train["image_id"][train["label"] == label].tolist() for label in (0, 1))
    parents = [f"{clear[0]} {cracked[0]}", clear[1], cracked[0], None, None, None]
    rewrite_synthetic(small_run, parent_id=parents)
    text = render_page(read_gallery(small_run / "prepared", small_run / "synthetic"), [])
    assert "third the real image of" in text
    pictures = Page(text).all("img")
    made, _ = read_rows([small_run / "synthetic" / "train-synthetic-00000.parquet"])
    origins = {
        uri_id(pictures[place - 2]["src"]): uri_id(image["src"])
        for place, image in enumerate(pictures)
        if "made from" in image["alt"]
    }
    assert origins == dict(zip(made["image_id"][:2], clear[:2], strict=True))


def test_trust_is_the_score_that_is_nearest_to_its_threshold():
    row = {"label_confidence": 0.9, "realism": 1.2}
    assert trust(row, {"label_confidence": 0.6, "realism": 1.0}) == pytest.approx(1.2)
    assert trust(row, {"label_confidence": 0.6, "realism": 0.0}) == pytest.approx(1.5)


def test_text_from_the_data_is_never_markup_and_nothing_comes_from_outside(small_run, rows):
    name = """</script>"<b>'&"""
    rename_class(small_run, name)
    gallery = read_gallery(small_run / "prepared", small_run / "synthetic")
    reviews = [Review(rows["image_id"][0], name, "reject", "", "AB")]
    text = render_page(gallery, reviews)
    page = Page(text)
    assert page.open == page.all("b") == []
    assert len(page.all("script")) == 2
    assert page.all("option")[1]["value"] == name
    assert "toy &lt;cells&gt;" in text
    assert all(image["src"].startswith("data:") for image in page.all("img"))
    assert "url(" not in text
    assert "http" not in re.sub("http-equiv", "", text)


def test_a_lost_nearest_image_is_refused(small_run):
    paths = small_run / "prepared", small_run / "synthetic"
    train, _ = read_rows([small_run / "prepared" / "train-real-00000.parquet"])
    rewrite_synthetic(small_run, parent_id=train["image_id"][0])
    document = read_json(paths[0] / "prepared.json")
    kept = {n: facts for n, facts in document["files"].items() if not n.startswith("train")}
    write_json(document | {"files": kept}, paths[0] / "prepared.json")
    refuses(DatasetError, "lacks the real image .* rerun the stage gen", read_gallery, *paths)


def test_images_of_an_older_version_are_refused(small_run):
    document = read_json(small_run / "synthetic" / "synthetic.json")
    del document["min_scores"]
    write_json(document, small_run / "synthetic" / "synthetic.json")
    paths = (small_run / "prepared", small_run / "synthetic")
    refuses(DatasetError, "of an older version; run the stage generate", read_gallery, *paths)


def test_without_an_accepted_image_the_page_says_so(small_run):
    write_accepted(small_run, 0)
    gallery = read_gallery(small_run / "prepared", small_run / "synthetic")
    assert render_page(gallery, []).count("No image of this class was accepted.") == 2


def test_the_command_writes_a_page(small_run, rows):
    reviews, out = small_run / "review.csv", small_run / "page.html"
    reviews.write_text(as_text([AWAY]))
    paths = {"prepared": small_run / "prepared", "synthetic": small_run / "synthetic"}
    paths |= {"reviews": reviews, "out": out}
    arguments = [part for name, path in paths.items() for part in (f"--{name}", str(path))]
    shown = CliRunner().invoke(app, ["review", *arguments], catch_exceptions=False).output
    assert shown.startswith(f"30 images -> {out}")
    assert AWAY.image_id in out.read_text()
    reviews.write_text("image_id\n")
    refuses(
        DatasetError,
        r"review\.csv: columns 'image_id', expected",
        *(CliRunner().invoke, app, ["review", *arguments]),
        catch_exceptions=False,
    )


@contextmanager
def serving(gallery, reviews):
    with ReviewServer(gallery, reviews, port=0) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def table(small_run):
    path = small_run / "review.csv"
    path.write_text(as_text([AWAY]))
    return path


@pytest.fixture
def server(gallery, table):
    with serving(gallery, table) as server:
        yield server


def ask(server, method="POST", path="/review", body=b"", **headers):
    """Status and text of the answer; headers as the page sends them, unless changed."""
    host = f"127.0.0.1:{server.server_port}"
    given = {"Host": host, "Origin": f"http://{host}", "Content-Length": str(len(body))}
    given |= {name.replace("_", "-"): value for name, value in headers.items()}
    connection = http.client.HTTPConnection(LOOPBACK, server.server_port, timeout=30)
    try:
        connection.putrequest(method, path, skip_host=True)
        for name, value in given.items():
            if value is not None:
                connection.putheader(name, value)
        connection.endheaders(body)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


def test_the_server_gives_the_page_and_saves_beside_earlier_rows(server, gallery, table):
    assert server.server_address[0] == "127.0.0.1"
    status, page = ask(server, "GET", "/")
    assert status == 200
    assert '"serve": true' in page
    first, other = gallery.image_ids()[0], gallery.image_ids()[-1]
    said = [
        Review(first, "clear", "reject", "", "AB"),
        Review(other, CLASSES[1], "reject", "", "A"),
    ]
    version = version_of([AWAY])
    status, version = ask(server, body=as_text(said).encode(), If_Match=version)
    assert status == 200
    assert read_reviews(table, CLASSES) == [AWAY, *said]
    seen = Review(gallery.set_id, "", "reviewed", GENERATOR, "AB")
    status, text = ask(server, body=as_text([seen]).encode(), If_Match=version)
    assert status == 200
    assert read_reviews(table, CLASSES) == [AWAY, seen]  # both were taken back
    assert text == version_of([AWAY, seen])
    status, text = ask(server, body=as_text(said).encode(), If_Match=version)
    assert (status, text) == (400, "not saved: review.csv has changed; reload, your work is kept")
    assert read_reviews(table, CLASSES) == [AWAY, seen]


def test_what_is_not_the_page_is_turned_away(server, table):
    before = table.read_bytes()
    port, good = server.server_port, as_text([]).encode()
    for headers in (
        {"Origin": "https://evil.example"},
        {"Origin": f"http://evil.example:{port}"},
        {"Origin": "null"},
        {"Origin": None},
        {"Origin": f"http://127.0.0.1:{port + 1}"},
        {"Host": f"evil.example:{port}"},
        {"Host": None},
    ):
        status, _ = ask(server, body=good, If_Match=version_of([AWAY]), **headers)
        assert status == 403, headers
    assert ask(server, "GET", "/", Host=f"evil.example:{port}")[0] == 403
    assert ask(server, "GET", "/etc/passwd")[0] == ask(server, path="/other")[0] == 404
    assert ask(server, "PUT")[0] == 501
    assert table.read_bytes() == before


def test_what_is_no_table_is_not_saved(server, table):
    before = table.read_bytes()
    for length in (str(MOST_BYTES + 1), "-1", "many", None):
        assert ask(server, Content_Length=length)[0] == 413, length
    for body, reason in (
        (b"", "not saved: columns ''"),
        (b"\xff\xfe", "invalid start byte"),
        (as_text([AWAY._replace(class_name="dog")]).encode(), "row 1: class 'dog'"),
        (as_text([AWAY._replace(image_id="../x")]).encode(), "row 1: image_id '../x'"),
    ):
        status, text = ask(server, body=body, If_Match=version_of([AWAY]))
        assert status == 400
        assert reason in text
        assert "\n" not in text
    assert table.read_bytes() == before
    table.write_text("broken")
    assert ask(server, "GET", "/") == (400, ask(server, "GET", "/")[1])


def test_a_port_that_is_taken_is_refused(server, gallery, table):
    match = f"--port {server.server_port}: can't be used"
    refuses(GanaugError, match, ReviewServer, gallery, table, port=server.server_port)
    refuses(GanaugError, "--port 70000: can't be used", ReviewServer, gallery, table, port=70000)
