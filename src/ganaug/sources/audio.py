"""Class folders of sound: ROOT/dog/*.wav, or ROOT/train/dog/*.wav; WAV, FLAC, OGG and MP3.

Found and grouped as images are, see `folder`; `preparing/sound.py` makes images of them.
"""

from ganaug.config import PrepareParams
from ganaug.errors import SourceError, explained
from ganaug.sources.base import Source
from ganaug.sources.folder import load_folder

INSTALL = "pip install 'ganaug[audio]'"
SOUND_SUFFIXES = {".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3"}


def load_audio(params: PrepareParams) -> Source:
    """The files in sorted order.

    Raises:
        SourceError: flips or colour are asked for, soundfile is missing, or see `load_folder`.
    """
    if params.files.flips or params.channels != 1:
        raise SourceError(
            "the source audio makes grey spectrograms, and a flipped one is another sound: set "
            "prepare.channels to 1 and prepare.files.flips to []"
        )
    with explained(SourceError, "the source audio needs soundfile", ImportError, then=INSTALL):
        import soundfile  # noqa: F401
    return load_folder(params, suffixes=SOUND_SUFFIXES)
