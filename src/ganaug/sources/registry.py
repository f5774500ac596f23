"""All sources, by their names in `prepare.source`.

To add one, write its file and list it here. If archives may hold its files, list it in
`archive.LAYOUTS` instead. `recognise` tells from the files which source reads them.
"""

from ganaug.config import PrepareParams
from ganaug.sources.archive import LAYOUTS, load_archive
from ganaug.sources.audio import load_audio
from ganaug.sources.base import Source
from ganaug.sources.digits import load_digits
from ganaug.sources.elpv import load_elpv
from ganaug.sources.files import as_listed
from ganaug.sources.remote import describe_files, list_files

STREAMED = LAYOUTS | {"audio": load_audio}  # of files that stay at a URL
LOADERS = STREAMED | {"archive": load_archive, "digits": load_digits, "elpv": load_elpv}


def load_source(params: PrepareParams) -> Source:
    """The source that `params.source` names.

    Raises:
        SourceError: it can't be read.
    """
    read, url = LOADERS[params.source], params.files.path
    if "://" not in url or params.source not in STREAMED:
        return read(params)
    if params.source == "table":  # with the images beside it
        url = url.rpartition("/")[0]
    files = list_files(url)  # before they are read: a change meanwhile is one
    source = read(params)
    return Source(source.facts, as_listed(source.images, files), describe_files(url, files))
