"""What consumers do with a merged dataset; for `make release-check`, and for the tests."""

import contextlib
import importlib
import logging
import os
import re
import shlex
import shutil
import subprocess
import sys
import tarfile
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import ModuleType

import pandas as pd

from ganaug.errors import GanaugError
from ganaug.fileio import read_json
from ganaug.folds import code_first
from ganaug.images import decode_png, pixel_id
from ganaug.publishing.export import export_dataset
from ganaug.publishing.manifest import APART, read_manifest
from ganaug.records import FIELDS, SPLITS
from ganaug.release import make_release
from ganaug.shards import iter_rows

REPOSITORY = Path(__file__).parents[1]
PLACEHOLDER = "https://git.example.org/solar-cells"  # in README
AUGMENTED = "data/augmented"
KEYS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}  # moto takes any


def section_of(readme: Path, title: str) -> str:
    """A section of a README."""
    return readme.read_text().partition(f"## {title}\n")[2].partition("\n## ")[0]


def run_section(text: str, *, folder: Path) -> dict[str, object]:
    """Run the commands and snippets of a section in order; what the snippets define.

    Args:
        text: of the section.
        folder: repository with the dataset and a tag for it; also where it is fetched from.
    """
    names: dict[str, object] = {}
    text = text.replace(PLACEHOLDER, str(folder))
    blocks = re.findall(r"```(console|python)\n(.*?)```", text, flags=re.DOTALL)
    assert blocks
    with contextlib.chdir(folder):
        for kind, block in blocks:
            if kind == "python":
                exec(block, names)
                continue
            for line in re.findall(r"^\$ (.*)$", block, flags=re.MULTILINE):
                run(*shlex.split(line, comments=True), folder=folder)
    return names


def run(*command: str, folder: Path) -> str:
    """Run a command of this environment, with the code of `folder` where it has some."""
    source = folder / "src"
    own = code_first(source if source.exists() else REPOSITORY / "src")
    return _output(command, folder, os.environ | KEYS | own | {"HF_HUB_OFFLINE": "1"})


def git(folder: Path, *arguments: str) -> str:
    """Run git as a committer of no account."""
    who = ["-c", "user.name=test", "-c", "user.email=test@localhost"]
    return _output(["git", *who, *arguments], folder)


def _output(
    command: Sequence[str], folder: Path, environment: Mapping[str, str] | None = None
) -> str:
    """What a command prints; it must not fail."""
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{shlex.join(command)}: {done.stdout}{done.stderr}"
    return done.stdout


def copy_repository(folder: Path) -> None:
    """Clone this repository, and lay the working tree's files over it."""
    git(REPOSITORY, "clone", "-q", str(REPOSITORY), str(folder))
    listed = git(REPOSITORY, "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    for name in filter(None, listed.split("\0")):
        if (REPOSITORY / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes((REPOSITORY / name).read_bytes())


def import_mlcroissant() -> ModuleType:
    """The library; absl, which it logs by, keeps the stderr of its import and closes it later."""
    with contextlib.redirect_stderr(sys.__stderr__):
        return importlib.import_module("mlcroissant")


def check_croissant(folder: Path) -> None:
    """croissant.json is valid, and through it every row is read with its pixels."""
    with warnings.catch_warnings():  # of mlcroissant and rdflib, on newer versions of their friends
        warnings.simplefilter("ignore", DeprecationWarning)
        import numpy as np

        dataset = import_mlcroissant().Dataset(jsonld=folder / "croissant.json")
        assert not dataset.metadata.ctx.issues.errors
        names = {name for name in read_manifest(folder)["files"] if APART in Path(name).parts}
        for part in (*SPLITS, *([APART] if names else [])):
            expected = rows_of(folder, f"{part}/*" if part == APART else f"{part}-*")
            number = 0
            for record in dataset.records(f"{part}_rows"):
                assert set(record) == {f"{part}_rows/{name}" for name in FIELDS}
                label, png = expected[record[f"{part}_rows/image_id"].decode()]
                assert record[f"{part}_rows/label"] == label
                image = np.asarray(record[f"{part}_rows/image"])
                assert np.array_equal(
                    image, decode_png(png).squeeze(axis=2 if image.ndim == 2 else ())
                )
                number += 1
            assert number == len(expected)


def rows_of(folder: Path, pattern: str) -> dict[str, tuple[int, bytes]]:
    """Label and PNG of every row of the shards that a pattern finds, by image_id."""
    return {
        row["image_id"]: (row["label"], png)
        for path in sorted(folder.glob(f"{pattern}.parquet"))
        for row, png in iter_rows(path)
    }


def check_exports(folder: Path, scratch: Path) -> None:
    """Every export gives back the pixels and labels of every row."""
    expected = {image_id: label for image_id, (label, _) in rows_of(folder, "*").items()}
    classes = read_manifest(folder)["classes"]
    for layout, table in (("imagefolder", "metadata.csv"), ("csv", "labels.csv")):
        out = scratch / layout
        export_dataset(folder, out, layout=layout)
        listed = pd.read_csv(out / table)
        assert listed["class"].tolist() == [classes[label] for label in listed["label"]]
        assert dict(zip(listed["image_id"], listed["label"], strict=True)) == expected
        for name, image_id in zip(listed["file_name"], listed["image_id"], strict=True):
            assert pixel_id(decode_png((out / name).read_bytes())) == image_id
    export_dataset(folder, scratch / "webdataset", layout="webdataset")
    labels = dict(_labels_in_tars(scratch / "webdataset"))
    assert labels == expected


def _labels_in_tars(folder: Path) -> Iterator[tuple[str, int]]:
    for path in sorted(folder.glob("*.tar")):
        with tarfile.open(path) as tar:
            for member in tar:
                key, suffix = member.name.split(".")
                file = tar.extractfile(member)
                assert file is not None
                content = file.read()
                if suffix == "png":
                    assert pixel_id(decode_png(content)) == key
                elif suffix == "cls":
                    yield key, int(content)


def check_release(repo: Path) -> None:
    """The committed dataset gets a number, and gets it once."""
    for tag in git(repo, "tag", "--list").split():
        git(repo, "tag", "--delete", tag)
    assert make_release("major", repo=repo) == "augmented@v1.0.0"
    refusal = ""
    try:
        make_release("major", repo=repo)
    except GanaugError as error:
        refusal = str(error)
    assert "nothing has changed since augmented@v1.0.0" in refusal


def check_remote(repo: Path, url: str, scratch: Path, *settings: tuple[str, str]) -> None:
    """Push to a remote; a second clone pulls and verifies it, and a stranger gets the version.

    Args:
        repo: with a committed dataset and the tag augmented@v1.2.0.
        url: of the remote.
        scratch: folder to be made for the clone.
        settings: of the remote, as `dvc remote modify` takes them.
    """
    scratch.mkdir()
    run("dvc", "remote", "add", "--force", "--default", "here", url, folder=repo)
    for name, value in settings:
        run("dvc", "remote", "modify", "here", name, value, folder=repo)
    run("git", "commit", "-q", "-m", "Name the remote", ".dvc/config", folder=repo)
    run("git", "tag", "-f", "augmented@v1.2.0", folder=repo)
    run("dvc", "push", "-q", "data/augmented", folder=repo)
    run("git", "clone", "-q", str(repo), str(scratch / "clone"), folder=scratch)
    run("dvc", "pull", "-q", "data/augmented", folder=scratch / "clone")
    run("ganaug", "verify", folder=scratch / "clone")
    shutil.rmtree(scratch / "clone" / ".dvc" / "cache")  # the stranger gets it from the remote
    get = ("get", "-q", str(scratch / "clone"), "data/augmented", "-o", "got")
    run("dvc", *get, "--rev", "augmented@v1.2.0", folder=scratch)
    run("ganaug", "verify", "got", folder=scratch)
    manifests = [read_json(f / "manifest.json") for f in (repo / "data/augmented", scratch / "got")]
    assert manifests[0] == manifests[1]


@contextlib.contextmanager
def s3_bucket(name: str) -> Iterator[tuple[str, tuple[str, str]]]:
    """URL and settings of a bucket on an S3 server of this machine, empty."""
    import boto3  # type: ignore[import-untyped]
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)  # a line a request
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        endpoint = f"http://{host}:{port}"
        keys = {key.lower(): value for key, value in KEYS.items()}
        client = boto3.client("s3", endpoint_url=endpoint, region_name="us-east-1", **keys)
        client.create_bucket(Bucket=name)
        yield f"s3://{name}/data", ("endpointurl", endpoint)
    finally:
        server.stop()
