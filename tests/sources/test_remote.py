"""Files at a URL give what the same files give here, in streams, and say when they have changed."""

import http.server
import json
import pickle
import threading
from functools import partial
from itertools import chain, repeat
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import quote

import boto3
import fsspec
import pandas as pd
import pytest
import s3fs
from fsspec.implementations.memory import MemoryFileSystem
from joblib.externals.loky import get_reusable_executor
from typer.testing import CliRunner

from benchmarks.consumers import KEYS, s3_bucket
from benchmarks.storm.readers import Proxy
from ganaug.cli import app
from ganaug.config import load_params
from ganaug.errors import RemoteError, SourceError
from ganaug.parallel import map_unordered
from ganaug.preparing.prepare import prepare
from ganaug.sources import remote
from ganaug.sources.recognise import recognise
from tests.refusal import changed, refuses
from tests.sources.test_archive import png, write_tar
from tests.toy_source import toy_source

FILES = ["train/cat/p1_a.png", "train/dog/p2_b.png", "train/cat/deep/p1_c.png", "test/cat/p3_d.png"]
FILES += ["train/black cat/p4 é+.png", "train/cat/z.txt", "train/.git/cat/f.png", "notes.txt"]


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch):
    monkeypatch.setattr(remote, "PAUSES", (0.01, 0.01, 0.01))


@pytest.fixture(scope="module")
def layouts(tmp_path_factory):
    """A folder with every layout; how each is loaded, by its path below."""
    root = tmp_path_factory.mktemp("here") / "data"
    for number, name in enumerate(FILES):
        (root / "photos" / name).parent.mkdir(parents=True, exist_ok=True)
        (root / "photos" / name).write_bytes(png(number))
    (root / "photos" / "about.html").write_text('<a href="train/">a page is no folder</a>')
    (root / "photos" / "train" / "README.html").write_text('<a href="cat/">nor a class</a>')
    rows = pd.DataFrame({"image": FILES[:4], "label": ["cat", "dog", "cat", "dog"]})
    rows.to_csv(root / "photos" / "labels.csv", index=False)
    for name, seeds in (("train-0", (0, 1, 2)), ("test-0", (3, 4))):
        packed = {
            "image": [png(seed) for seed in seeds],
            "label": ["cat", "dog", "cat"][: len(seeds)],
        }
        (root / "packed").mkdir(exist_ok=True)
        pd.DataFrame(packed).to_parquet(root / "packed" / f"{name}.parquet")
        content = {f"{seed}.png": png(seed) for seed in seeds}
        content |= {
            f"{seed}.json": json.dumps({"label": "cat", "part": seed}).encode() for seed in seeds
        }
        write_tar(root / "tars" / f"{name}.tar", dict(sorted(content.items())))
    for image in toy_source().images:
        (root / "toy" / image.name).parent.mkdir(parents=True, exist_ok=True)
        (root / "toy" / image.name).write_bytes(image.content)
    return root, {
        "toy": ("folder", {}, {}),
        "photos": ("folder", {"group_pattern": r"(p\d|z)"}, {}),
        "photos/labels.csv": ("table", {}, {}),
        "packed": ("parquet", {}, {}),
        "packed/train-0.parquet": ("parquet", {}, {}),
        "tars": ("webdataset", {}, {"group": "part"}),
        "tars/test-0.tar": ("webdataset", {}, {}),
    }


class Handler(http.server.SimpleHTTPRequestHandler):
    """Serves ranges and ETags, and cuts as many bodies in the middle as it is told."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        path = Path(self.translate_path(self.path))
        if not path.is_file():
            return super().do_GET()
        whole = path.read_bytes()
        asked = self.headers.get("Range")
        found = (asked or "bytes=0-").partition("=")[2].split("-")
        start, stop = int(found[0]), min(int(found[1] or len(whole)) + 1, len(whole))
        body = whole[start:stop]
        self.send_response(206 if asked else 200)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("ETag", f'"{hash(whole)}"')
        if asked:
            self.send_header("Content-Range", f"bytes {start}-{stop - 1}/{len(whole)}")
        self.end_headers()
        self.server.asked.append(self.command)
        if self.command == "GET" and next(self.server.cuts, False):
            self.wfile.write(body[: len(body) // 2])
            self.close_connection = True
        elif self.command == "GET":
            self.wfile.write(body)
        return None

    def do_HEAD(self):
        self.do_GET()

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def web(layouts):
    root, _ = layouts
    with http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), lambda *a: Handler(*a, directory=root.parent)
    ) as server:
        server.cuts, server.asked, server.daemon_threads = iter([]), [], True
        server.root = f"http://127.0.0.1:{server.server_port}"
        server.url = f"{server.root}/data"
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture(scope="module")
def bucket(layouts):
    """URL of the same on an S3 server, and its endpoint."""
    root, _ = layouts
    with pytest.MonkeyPatch.context() as patch, s3_bucket("far") as (url, (_, endpoint)):
        for name, value in (KEYS | {"AWS_ENDPOINT_URL": endpoint}).items():
            patch.setenv(name, value)
        s3fs.S3FileSystem.clear_instance_cache()
        client = boto3.client("s3")
        for path in filter(Path.is_file, root.rglob("*")):
            client.upload_file(str(path), "far", f"data/{path.relative_to(root)}")
        get_reusable_executor().shutdown()  # its workers know another environment
        yield url, endpoint, client
        get_reusable_executor().shutdown()
    s3fs.S3FileSystem.clear_instance_cache()


@pytest.fixture
def memory(layouts):
    files = fsspec.filesystem("memory")
    root, _ = layouts
    for path in filter(Path.is_file, root.rglob("*")):
        files.pipe(f"/far/data/{path.relative_to(root)}", path.read_bytes())
    yield "memory://far/data"
    files.store.clear()


@pytest.fixture
def make(layouts, load, shipped_params, tmp_path):
    """Prepare a layout, from a URL or from here; the folder."""
    root, places = layouts
    params = shipped_params.prepare.model_copy(update={"resolution": 16, "channels": 1})

    def make(name, place, url=root, **options):
        source, files, table = places[place]
        loaded = load(source, f"{url}/{place}", table, **files)
        prepare(params, seed=0, out=tmp_path / name, source=loaded, **options)
        return tmp_path / name

    return make


def listed(source):
    def bytes_of(content):
        return content if isinstance(content, bytes) else content.read_bytes()

    return [(i.name, i.class_name, i.group, i.split, bytes_of(i.content)) for i in source.images]


def test_a_url_gives_what_the_same_files_give_here(
    layouts, load, bucket, memory, web, tmp_path, monkeypatch
):
    root, places = layouts
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    for place, (source, files, table) in places.items():
        here = load(source, root / place, table, **files)
        assert here.remote is None
        expected = listed(here)
        assert len(expected) >= 2
        for url in (bucket[0], memory, web.url, f"file://{root}"):
            far = load(source, f"{url}/{place}", table, **files)
            assert far.facts == here.facts
            assert listed(far) == expected, (url, place)
            assert far.remote["num_files"] >= 1
            paths = [i.content for i in load(source, f"{url}/{place}", table, **files).images]
            assert pickle.loads(pickle.dumps(paths)) == paths
            assert recognise(f"{url}/{place}") == recognise(str(root / place)), (url, place)
    assert list(tmp_path.iterdir()) == []


def test_workers_read_a_url_and_prepare_writes_the_same(make, bucket, monkeypatch):
    monkeypatch.setattr("ganaug.preparing.reading.IMAGES_PER_BATCH", 8)
    far = make("far", "toy", bucket[0], map_tasks=partial(map_unordered, num_workers=2))
    here = make("here", "toy")
    digests = [{p.name: p.read_bytes() for p in out.iterdir()} for out in (far, here)]
    documents = [json.loads(digest.pop("prepared.json")) for digest in digests]
    assert digests[0] == digests[1]
    assert documents[0].pop("remote")["num_files"] == 64
    for document in documents:
        document.pop("seal")
    assert documents[0] == documents[1]


def test_a_dropped_connection_is_tried_again(layouts, load, web, bucket, monkeypatch):
    root, places = layouts
    for place in ("toy", "packed", "tars"):
        source, files, table = places[place]
        expected = listed(load(source, root / place, table, **files))
        web.cuts, web.asked[:] = iter([True, False, True]), []
        assert listed(load(source, f"{web.url}/{place}", table, **files)) == expected
        assert next(web.cuts, None) is None  # all of them happened
    url, endpoint, _ = bucket
    proxy = Proxy(int(endpoint.rpartition(":")[2]))
    limits = [400, 700, 10**4, 2000]
    proxy.rng = SimpleNamespace(randint=lambda _, most: limits.pop(0) if limits else most)
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{proxy.port}")
    s3fs.S3FileSystem.clear_instance_cache()
    assert listed(load("parquet", f"{url}/packed")) == listed(load("parquet", root / "packed"))
    assert limits == []
    proxy.close()
    s3fs.S3FileSystem.clear_instance_cache()


def test_a_network_that_stays_away_rejects_no_image_and_the_next_run_goes_on(
    make, web, monkeypatch
):
    monkeypatch.setattr("ganaug.preparing.reading.IMAGES_PER_BATCH", 8)
    for place in ("packed", "tars"):
        web.cuts = repeat(True)
        match = rf"^{web.url}/{place}/test-0\.\w+: can't be read \(.+\)$"
        refuses(RemoteError, match, make, "far", place, web.url)
    web.cuts = chain(repeat(False, 40), repeat(True))  # five batches
    match = rf"^{web.url}/toy/.+\.png: can't be read \(.+\)$"
    refuses(RemoteError, match, make, "far", "toy", web.url)
    web.cuts, web.asked[:] = chain([True, False, True], repeat(False)), []
    far = make("far", "toy", web.url)
    assert web.asked.count("GET") == 26  # 40 of 64 were there, two were cut
    assert len(pd.read_parquet(far / "rejected.parquet")) == 0


def test_outdated_tells_whether_files_at_a_url_have_changed(make, bucket):
    url, _, client = bucket

    def outdated(folder):
        result = CliRunner().invoke(app, ["outdated", "--prepared", str(folder)])
        assert result.output.count("\n") == 1
        return result.exit_code, result.output

    def put(name, content):
        client.put_object(Bucket="far", Key=f"data/toy/{name}", Body=content)

    code, line = outdated(make("here", "toy"))
    assert code == 0
    assert "(an archive is known by its sha256); of local files DVC knows: dvc status" in line
    far = make("far", "toy", url)
    first = client.get_object(Bucket="far", Key="data/toy/train/left/00.png")["Body"].read()
    assert outdated(far) == (0, f"{url}/toy is as it was read: 64 files\n")
    put("train/left/00.png", first)  # later, but the same
    put("train/left/.hidden", b"")
    assert outdated(far)[0] == 0
    put("train/left/00.png", changed(first))
    code, line = outdated(far)
    assert code == 1
    assert "has changed (64 files then, 64 now); read it again: dvc repro -f prepare" in line
    put("train/left/00.png", first)
    put("train/left/more.png", first)
    assert "(64 files then, 65 now)" in outdated(far)[1]
    client.delete_object(Bucket="far", Key="data/toy/train/left/more.png")
    assert outdated(far)[0] == 0


def test_what_is_not_there_empty_or_too_large_is_rejected_from_the_listing(
    load, memory, monkeypatch
):
    files = fsspec.filesystem("memory")
    rows = "image,label\ntrain/cat/p1_a.png,cat\nnowhere.png,dog\n/etc/passwd,dog\n"
    files.pipe("/far/data/photos/some.csv", rows.encode())
    content = [i.content for i in load("table", f"{memory}/photos/some.csv").images]
    assert content[0].read_bytes() == png(0)
    assert [c.detail for c in content[1:]] == ["no such file"] * 2
    files.pipe("/far/data/photos/train/cat/void.png", b"")
    monkeypatch.setattr("ganaug.sources.base.MOST_BYTES", 10)
    found = [i.content for i in load("folder", f"{memory}/photos").images]
    assert sorted({c.detail.split(" of ")[0] for c in found}) == ["a file", "the file is empty"]


def test_a_dead_link_of_a_web_server_is_an_image_that_is_not_there(load, web, layouts):
    dead = layouts[0] / "toy" / "test" / "right" / "gone.png"
    dead.symlink_to("nowhere")
    content = {i.name: i.content for i in load("folder", f"{web.url}/toy").images}
    dead.unlink()
    assert content.pop("test/right/gone.png").detail == "no such file"
    assert all(isinstance(path, remote.RemotePath) for path in content.values())


def test_an_image_of_a_web_server_that_fails_is_not_taken_for_missing(load, web, monkeypatch):
    answer = Handler.do_GET
    monkeypatch.setattr(
        Handler, "do_GET", lambda h: h.send_error(503) if h.path.endswith("3.png") else answer(h)
    )
    refuses(RemoteError, r"3\.png: can't be read \(.*503", load, "folder", f"{web.url}/toy")


def test_a_page_with_whole_links_and_others_is_a_folder_of_its_images(load, web, layouts):
    folder = layouts[0].parent / "some pages" / "black cat"
    folder.mkdir(parents=True)
    for name in ("a b.png", "50%20.png", "n#1.png"):
        (folder / name).write_bytes(png(0))
    links = [f"/some%20pages/black%20cat/{quote(path.name)}" for path in folder.iterdir()]
    links += ["#top", "?C=N;O=D", "mailto:me", "javascript:alert(1)", "../"]
    (folder / "index.html").write_text("".join(f'<a href="{link}">x</a>' for link in links))
    for url in (f"{web.root}/some pages", f"{web.root}/some%20pages"):
        images = {i.name: i for i in load("folder", url).images}
        assert images.keys() == {f"black cat/{x}.png" for x in ("a b", "50%2520", "n%231")}
        assert {i.class_name for i in images.values()} == {"black cat"}
        assert all(i.content.read_bytes() == png(0) for i in images.values())


def test_files_that_are_read_together_share_one_connection(memory, monkeypatch):
    monkeypatch.setattr(MemoryFileSystem, "cachable", False)  # as FTP's
    paths = [remote.RemotePath(f"{memory}/photos/{name}") for name in FILES[:4]]
    connect, made = remote._connect, []
    monkeypatch.setattr(remote, "_connect", lambda place: made.append(place) or connect(place))
    found = remote.read_together(paths)
    assert found == {path: png(seed) for seed, path in enumerate(paths)}
    assert made == paths[:1]


def test_a_url_that_cannot_be_read_is_refused_in_one_line(load, bucket, web, memory, monkeypatch):
    web.cuts = repeat(False)
    for url, match in (
        (f"{bucket[0]}/nothing", "s3://far/data/nothing does not exist"),
        ("s3://nobucket/photos", "s3://nobucket/photos does not exist"),
        (f"{memory}/nothing", "does not exist"),
        (f"{web.url}/nothing", "does not exist"),
        (f"{web.url}/packed/test-0.parquet", "is not a folder, or its server lists none"),
        ("nosuch://bucket/photos", "can't be read .Protocol not known: nosuch"),
        ("http://127.0.0.1:9/photos", "can't be read .+[Cc]onnect"),
    ):
        refuses(SourceError, match, load, "folder", url)

    def missing(_):
        raise ImportError("Install s3fs to access S3")

    monkeypatch.setattr("fsspec.core.url_to_fs", missing)
    match = r"Install s3fs to access S3; for S3: pip install 'ganaug\[s3\]'"
    refuses(SourceError, match, load, "folder", "s3://bucket/photos")


def test_inspect_and_init_take_a_url(bucket, tmp_path, repository):
    params = tmp_path / "params.yaml"
    params.write_bytes((repository / "params.yaml").read_bytes())
    for command in (["inspect"], ["init", "--path"]):
        done = CliRunner().invoke(app, [*command, f"{bucket[0]}/toy", "--params", str(params)])
        assert done.exit_code == 0, done.output
        assert "left" in done.output
    assert f"path: {bucket[0]}/toy" in params.read_text()
    assert load_params(params).prepare.source == "folder"
