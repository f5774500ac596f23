"""All sources, by their names in `prepare.source`.

To add one, write its file and list it here. If it reads files, list it in `archive.LAYOUTS`
instead, so that archives can hold it too.
"""

from ganaug.config import PrepareParams
from ganaug.sources.archive import LAYOUTS, load_archive
from ganaug.sources.audio import load_audio
from ganaug.sources.base import Source
from ganaug.sources.digits import load_digits
from ganaug.sources.elpv import load_elpv

LOADERS = LAYOUTS | {"elpv": load_elpv, "digits": load_digits, "archive": load_archive}
LOADERS["audio"] = load_audio


def load_source(params: PrepareParams) -> Source:
    """The source that `params.source` names.

    Raises:
        SourceError: it can't be read.
    """
    return LOADERS[params.source](params)
