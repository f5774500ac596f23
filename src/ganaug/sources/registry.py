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

LOADERS = LAYOUTS | {
    "archive": load_archive,
    "audio": load_audio,
    "digits": load_digits,
    "elpv": load_elpv,
}


def load_source(params: PrepareParams) -> Source:
    """The source that `params.source` names.

    Raises:
        SourceError: it can't be read.
    """
    return LOADERS[params.source](params)
