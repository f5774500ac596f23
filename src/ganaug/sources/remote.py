"""Files at a URL of any scheme that fsspec knows, read in streams: s3://bucket/photos.

What fails is tried again after a pause: an image, a listing, or a block of a tar or Parquet file.
"""

import hashlib
import io
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import cache, partial
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, Literal, TypeVar
from urllib.parse import quote, unquote

from ganaug.errors import RemoteError, one_line

Result = TypeVar("Result")
Facts = dict[str, Any]  # what fsspec knows of a file

PAUSES = (0.5, 1.0, 2.0)  # seconds
FINAL = (ImportError, PermissionError, ValueError)  # no driver, no right, a server without ranges
BLOCK = 2**22  # bytes asked for at a time
# What tells the version of a file; each scheme has some of them.
VERSIONS = (
    *("generation", "ETag", "etag", "blob_id", "sha", "md5", "Content-MD5", "Last-Modified"),
    *("LastModified", "last_modified", "modified", "modify", "mtime", "created"),
)
MOST_ASKED = 32  # files whose facts are asked for at once
RESERVED = "%/:?#[]@!$&'()*+,;="  # what has a meaning in a URL, and is not quoted again


class MissingError(RemoteError):
    """There is no such file."""


class RemotePath(PurePosixPath):
    """A file or folder at a URL, with what the sources use of `Path`.

    Workers get its name only, and connect by their own environment.
    """

    def __str__(self) -> str:
        path = super().__str__()  # with one slash after the scheme
        scheme, colon, rest = path.partition(":/")
        host = "/" if scheme == "file" else ""
        return f"{scheme}://{host}{rest}" if colon and "/" not in scheme else path

    def call(self, method: str, *args: Any, **options: Any) -> Any:
        """Call a method of fsspec on this place.

        Raises:
            RemoteError: see `steadily`.
        """

        def once() -> Any:
            files, place = _connect(self)
            return getattr(files, method)(place, *args, **options)

        return steadily(self, once)

    def iterdir(self) -> Iterator["RemotePath"]:
        return iter(_entries(self))

    def is_dir(self) -> bool:
        if self in _types:  # a page on a web server lists links, too
            return _types[self] == "directory"
        return bool(_entries(self))  # object stores have no empty folders

    def is_file(self) -> bool:
        return _entries(self.parent).get(self, {}).get("type") == "file"

    def rglob(self, pattern: str) -> Iterator["RemotePath"]:
        """The files below that match, without hidden ones."""
        return (path for path in self.files() if path.relative_to(self).match(pattern))

    def files(self) -> dict["RemotePath", Facts]:
        """The files below, with what their folder says of them; without hidden ones."""
        found = dict[RemotePath, Facts]()
        for path, facts in _entries(self).items():
            if not path.name.startswith("."):
                found |= path.files() if facts["type"] == "directory" else {path: facts}
        return found

    def read_bytes(self) -> bytes:
        content: bytes = self.call("cat_file", start=0)  # without, S3 is asked for the size before
        return content

    def open(self, mode: Literal["rb"] = "rb") -> BinaryIO:
        return io.BufferedReader(_Blocks(self), BLOCK)


Place = Path | RemotePath
_types = dict[RemotePath, str]()  # what the folder of each place says: "file" or "directory"


def steadily(place: RemotePath, call: Callable[[], Result]) -> Result:
    """What `call` returns, after up to four tries.

    Raises:
        RemoteError: it failed again and again, or for a reason that no other try can mend.
    """
    for pause in PAUSES:
        try:
            return call()
        except FINAL:
            break
        except Exception:  # each scheme raises its own
            time.sleep(pause)
    try:
        return call()
    except FileNotFoundError as error:
        cause = error.__cause__  # fsspec says this of a web server that fails, too
        gone = isinstance(cause, FileNotFoundError) or getattr(cause, "status", 0) in (404, 410)
        if _on_web(place) and isinstance(cause, Exception) and not gone:
            raise RemoteError(f"{place}: can't be read ({one_line(cause)})") from None
        raise MissingError(f"{place} does not exist") from None
    except ImportError as error:
        hint = "for S3: pip install 'ganaug[s3]'"
        raise RemoteError(f"{place}: {one_line(error)}; {hint}") from None
    except Exception as error:
        raise RemoteError(f"{place}: can't be read ({one_line(error)})") from None


def read_together(paths: Sequence[RemotePath]) -> dict[RemotePath, bytes]:
    """The bytes of files by path, asked for at once, since each takes its time to answer.

    Raises:
        RemoteError: see `steadily`.
    """
    if not paths:
        return {}
    files, _ = steadily(paths[0], partial(_connect, paths[0]))
    places = [_place_of(path) for path in paths]
    found = steadily(paths[0], partial(files.cat_ranges, places, 0, None))  # or an error each
    pairs = zip(paths, found, strict=True)
    return {path: got if isinstance(got, bytes) else path.read_bytes() for path, got in pairs}


def _connect(place: RemotePath) -> tuple[Any, str]:
    """The file system of fsspec, which keeps its connections (but for FTP), and the place there."""
    import fsspec

    found: tuple[Any, str] = fsspec.core.url_to_fs(_url_of(place))
    return found


def _place_of(place: RemotePath) -> str:
    """The place on its file system, without a connection."""
    import fsspec

    found: str = fsspec.core.strip_protocol(_url_of(place))
    return found


def _url_of(place: RemotePath) -> str:
    return quote(str(place), safe=RESERVED) if _on_web(place) else str(place)


def _on_web(place: RemotePath) -> bool:
    return str(place).startswith(("http://", "https://"))


class _Blocks(io.RawIOBase):
    """A file of fsspec whose lost blocks are asked for again."""

    def __init__(self, path: RemotePath) -> None:
        self._path, self._position = path, 0
        self._file = path.call("open", "rb", cache_type="none")

    def close(self) -> None:
        self._file.close()
        super().close()

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._file.seek(self._position)
        self._position = self._file.seek(offset, whence)
        return self._position

    def readinto(self, buffer: Any) -> int:
        def read() -> bytes:
            self._file.seek(self._position)
            content: bytes = self._file.read(len(buffer))
            return content

        content = steadily(self._path, read)
        buffer[: len(content)] = content
        self._position += len(content)
        return len(content)


@cache
def _entries(folder: RemotePath) -> dict[RemotePath, Facts]:
    """What lies in a folder, in sorted order; nothing in a file."""

    def once() -> tuple[str, list[Facts]]:
        files, place = _connect(folder)
        return place, files.ls(place, detail=True)

    place, entries = steadily(folder, once)
    found = dict[RemotePath, Facts]()
    for facts in entries:
        name = facts["name"].rstrip("/").rpartition("/")[2]
        if facts["name"].strip("/") == place.strip("/"):  # a file or a mark lists itself
            continue
        if _on_web(folder):
            if set("?#:") & set(name):  # it sorts a page, leads to a place in it, or opens mail
                continue
            plain = unquote(name)
            name = name if set("%?#/\ufffd") & set(plain) else plain  # must be the same when quoted
        found[folder / name] = facts
    found = dict(sorted(found.items(), key=lambda item: item[0]))
    _types.update((path, facts["type"]) for path, facts in found.items())
    return found


def list_files(url: str) -> dict[RemotePath, Facts]:
    """The files at a URL as they are now, without hidden ones, with what fsspec knows of them.

    Raises:
        RemoteError: nothing is there, or it can't be listed.
    """
    root = RemotePath(url)
    _entries.cache_clear()
    _types.clear()
    files, _ = steadily(root, partial(_connect, root))
    files.invalidate_cache()
    found = root.files() or {root: {"size": None}}
    with ThreadPoolExecutor(MOST_ASKED) as pool:  # HTTP lists names only
        known = pool.map(lambda item: item[1] if item[1]["size"] else _info(item[0]), found.items())
        return {path: facts for path, facts in zip(found, known, strict=True) if facts is not None}


def _info(path: RemotePath) -> Facts | None:
    """What the server says of a file; None if it has a link to it only."""
    with suppress(MissingError):
        return path.call("info")  # type: ignore[no-any-return]
    return None


def version_of(facts: Facts) -> str:
    """What changes with a file: its size, and its ETag or what else the server has."""
    known = (str(facts[key]) for key in VERSIONS if facts.get(key))
    return f"{facts.get('size')} {next(known, '')}"


def describe_files(url: str, files: dict[RemotePath, Facts]) -> dict[str, Any]:
    """For prepared.json: where the files are, how many, and a hash of names and versions."""
    root = RemotePath(url)
    lines = sorted(f"{path.relative_to(root)} {version_of(facts)}" for path, facts in files.items())
    digest = hashlib.sha256("\n".join(lines).encode(errors="replace"))
    return {"url": url, "num_files": len(lines), "sha256": digest.hexdigest()}
