"""Files at a URL give what the same files give here, in streams, and say when they have changed."""

import http.server
import io
import json
import random
import threading
from pathlib import Path
from types import SimpleNamespace

import boto3
import fsspec
import pandas as pd
import pytest
import s3fs
from joblib.externals.loky import get_reusable_executor
from typer.testing import CliRunner

from benchmarks.consumers import KEYS, s3_bucket
from benchmarks.storm.readers import Proxy
from ganaug.cli import app
from ganaug.errors import RemoteError, SourceError
from ganaug.preparing.prepare import prepare
from ganaug.sources import remote
from ganaug.sources.base import UnusableImage
from ganaug.sources.recognise import recognise
from ganaug.sources.registry import load_source
from tests.refusal import refuses
from tests.sources.test_archive import png, write_tar

FILES = ["train/cat/p1_a.png", "train/dog/p2_b.png", "train/cat/deep/p1_c.png", "test/cat/p3_d.png"]
FILES += ["train/cat-2/p4_e.png", "train/cat/z.txt", "train/.git/cat/f.png", "notes.txt"]


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
    return root, {
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
        found = self.headers.get("Range", "bytes=0-").partition("=")[2].split("-")
        start, stop = int(found[0]), min(int(found[1] or len(whole)) + 1, len(whole))
        body = whole[start:stop]
        self.send_response(206 if "Range" in self.headers else 200)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("ETag", f'"{hash(whole)}"')
        if "Range" in self.headers:
            self.send_header("Content-Range", f"bytes {start}-{stop - 1}/{len(whole)}")
        self.end_headers()
        self.server.asked.append(path.name)
        if self.command == "GET" and self.server.cuts > 0:
            self.server.cuts -= 1
            self.wfile.write(body[: len(body) // 2])
            self.close_connection = True
        elif self.command == "GET":
            self.wfile.write(body)
        return None

    do_HEAD = do_GET

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def web(layouts):
    root, _ = layouts
    with http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), lambda *a: Handler(*a, directory=root.parent)
    ) as server:
        server.cuts, server.asked, server.daemon_threads = 0, [], True
        server.url = f"http://127.0.0.1:{server.server_port}/data"
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
        for url in (bucket[0], memory, web.url):
            far = load(source, f"{url}/{place}", table, **files)
            assert far.facts == here.facts
            assert listed(far) == expected, (url, place)
            assert far.remote["num_files"] >= 1
            assert recognise(f"{url}/{place}") == recognise(str(root / place)), (url, place)
    assert list(tmp_path.iterdir()) == []
