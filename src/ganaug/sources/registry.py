"""The ways in, by the name that `prepare.source` takes; a new one is a file and an entry.

One that reads files gets its entry in `archive.LAYOUTS`: archives may hold it then, too.
"""

from ganaug.config import PrepareParams
from ganaug.errors import SourceError
from ganaug.sources.archive import LAYOUTS, load_archive
from ganaug.sources.base import Source
from ganaug.sources.digits import load_digits
from ganaug.sources.elpv import load_elpv

LOADERS = LAYOUTS | {"elpv": load_elpv, "digits": load_digits, "archive": load_archive}


def load_source(params: PrepareParams) -> Source:
    """The source that `params.source` names.

    Raises:
        SourceError: there is none of that name, or it can't be read.
    """
    if params.source not in LOADERS:
        raise SourceError(f"no source {params.source!r}; there are {', '.join(sorted(LOADERS))}")
    return LOADERS[params.source](params)
