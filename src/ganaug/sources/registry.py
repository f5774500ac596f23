"""All sources, by their names in `prepare.source`.

To add one, write its file and list it here. If it reads files, list it in `archive.LAYOUTS`
instead, so that archives can hold it too.
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
        SourceError: no source has that name, or it can't be read.
    """
    if params.source not in LOADERS:
        raise SourceError(f"no source {params.source!r}; there are {', '.join(sorted(LOADERS))}")
    return LOADERS[params.source](params)
