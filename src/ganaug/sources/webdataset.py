"""WebDataset: tars in which the files of a sample share their name up to the first dot.

0001.png is the image, 0001.cls or a key of 0001.json the label; 0001.jpg is a second image with
that label, in the same group. Files with two dots, as 0001.seg.png, are not images. Group and split
are keys of the .json; without a split there, the tar's name gives it: train-00000.tar.
"""

import json
import tarfile
from collections.abc import Iterator
from itertools import groupby
from typing import Any

from ganaug.config import PrepareParams, TableParams
from ganaug.errors import SourceError, explained
from ganaug.sources.base import Source, SourceImage, UnusableImage
from ganaug.sources.files import (
    BROKEN,
    describe,
    find,
    image_suffixes,
    iter_tar,
    make_image,
    split_of_shard,
)
from ganaug.sources.remote import Place

LABELS = {".cls", ".json"}
NO_IMAGE = ("unreadable", "a label without an image")
Content = list[tuple[str, bytes | UnusableImage | None]]  # None: not read


def load_webdataset(params: PrepareParams) -> Source:
    """The samples in the order of the tars, which are read twice: first for the labels.

    Raises:
        SourceError: there is no tar, one can't be read, or a sample has no label.
    """
    root = find(params.files.path, what="a tar or a folder of them")
    paths: list[Place] = [root]
    if root.is_dir():
        paths = sorted(root.rglob("*.tar"))
    if not paths:
        raise SourceError(f"{root}: no .tar file")
    samples = ((path, *sample) for path in paths for sample in _samples(path))
    labels = {_describe(*sample, params.table)[0] for sample in samples}
    return Source(describe(params.files, labels), _images(paths, root.parent, params))


def _samples(path: Place, *, images: bool = False) -> Iterator[tuple[str, Content]]:
    """Name of each sample, and suffix and content of its files."""
    broken = explained(SourceError, f"{path}: not a whole tar", *BROKEN)
    with broken, path.open("rb") as file, tarfile.open(fileobj=file) as tar:
        files = (member for member in iter_tar(tar) if not member.isdir())
        for key, members in groupby(files, key=lambda member: halves(member.name)[0]):
            yield key, [(halves(m.name)[1], _read(tar, m, images)) for m in members]


def halves(name: str) -> tuple[str, str]:
    """Key and suffix, cut at the first dot of the file's name."""
    folder, slash, file = name.rpartition("/")
    stem, dot, suffix = file.partition(".")
    return folder + slash + stem, (dot + suffix).lower()


def _read(
    tar: tarfile.TarFile, member: tarfile.TarInfo, images: bool
) -> bytes | UnusableImage | None:
    if not member.isfile():
        return UnusableImage("link", "a link or device in the tar; pack files only")
    suffix = halves(member.name)[1]
    if suffix not in LABELS and not (images and suffix in image_suffixes()):
        return None
    file = tar.extractfile(member)
    return file.read() if file else None


def _describe(
    path: Place, key: str, content: Content, columns: TableParams
) -> tuple[str, dict[str, Any]]:
    """Label of a sample, and what its .json holds."""
    files = dict(content)
    try:
        found = json.loads(text) if isinstance(text := files.get(".json"), bytes) else {}
    except ValueError:
        raise SourceError(f"{path.name}/{key}.json: not valid JSON") from None
    facts = found if isinstance(found, dict) else {}
    label = facts.get(columns.label)
    if label is None and isinstance(text := files.get(".cls"), bytes):
        label = text.decode(errors="replace").strip()
    if label is None or label == "":
        raise SourceError(
            f"{path.name}/{key}: no label; expected {key}.cls, or {columns.label!r} in {key}.json "
            "(prepare.table.label)"
        )
    return str(label), facts


def _images(paths: list[Place], root: Place, params: PrepareParams) -> Iterator[SourceImage]:
    columns = params.table
    for path in paths:
        given = split_of_shard(path)
        for key, content in _samples(path, images=True):
            images = [part for part in content if part[0] in image_suffixes()]
            label, facts = _describe(path, key, content, columns)
            sample = f"{path.relative_to(root).as_posix()}/{key}"
            group, split = facts.get(columns.group or ""), facts.get(columns.split or "")
            if group is None and params.files.group_pattern is None and len(images) > 1:
                group = sample
            place = {"group": group, "split": given if split is None else str(split)}
            for suffix, image in images or [("", None)]:
                encoded = UnusableImage(*NO_IMAGE) if image is None else image
                yield make_image(sample + suffix, label, encoded, params.files, **place)
