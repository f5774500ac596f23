"""Paths with a scheme, say s3://bucket/photos, copied to a temporary folder that goes at exit."""

import atexit
import shutil
import tempfile
from pathlib import Path

from ganaug.errors import SourceError
from ganaug.fileio import sha256_file


def fetch(path: str, *, what: str, sha256: str | None = None) -> Path:
    """Where a file or folder lies on this machine; what is elsewhere is copied here first.

    Args:
        path: a local path, or a URL of any scheme that fsspec knows.
        what: expected there, for the error.
        sha256: of the file, hexadecimal, or None if it is not to be checked.
    Raises:
        SourceError: nothing is there, it can't be copied, or its sha256 is another.
    """
    local = _copy(path) if "://" in path else Path(path)
    if not local.exists():
        raise SourceError(f"prepare.files.path: {path} does not exist; give {what}")
    found = sha256_file(local) if sha256 and local.is_file() else sha256
    if found != sha256:
        raise SourceError(f"{path}: its sha256 is {found}, but prepare.files.sha256 is {sha256}")
    return local


def temporary_folder() -> Path:
    """A new folder that is removed when the program ends."""
    folder = Path(tempfile.mkdtemp(prefix="ganaug-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def _copy(url: str) -> Path:
    import fsspec

    local = temporary_folder() / url.rstrip("/").rpartition("/")[2]
    # Every scheme has errors of its own, and a missing driver or network is the user's to mend.
    try:
        files, path = fsspec.core.url_to_fs(url)
        if files.isdir(path):
            files.get(path.rstrip("/") + "/", f"{local}/", recursive=True)
        else:
            files.get_file(path, str(local))
    except Exception as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise SourceError(f"{url}: can't be copied ({reason})") from None
    return local
