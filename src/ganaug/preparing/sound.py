"""Decode a sound file to a spectrogram of a stated length and rate, or say why not.

Rules: channels are averaged; another rate is resampled; the clip begins with the file, and is cut
or padded with silence at its end. Loudness stays as it is.
"""

import io
import math
import re
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import asdict
from typing import Any

import numpy as np
from scipy.signal import resample_poly, stft

from ganaug.config import PrepareParams
from ganaug.errors import one_line
from ganaug.images import Pixels
from ganaug.preparing.decode import read_file
from ganaug.sources.base import SourceImage, UnusableImage
from ganaug.sources.remote import Place
from ganaug.spectrogram import Scale, Sound, to_image, to_sound

RATES = range(1000, 384_001)  # Hz; a broken header may claim any
MOST_CHANNELS = 32
HEARD = 16  # clips whose round trip is measured, evenly spread
# What libsndfile logs of a file whose header promises more; what was written to a pipe promises the
# largest number.
CUT_SHORT = re.compile(r"data : (?!4294967295 )\d+ \(should be|ended unexpectedly")
WINDOW = 512  # samples of the spectrum in which sounds are compared


def decode_sound(content: bytes | Place, scale: Scale) -> Pixels:
    """Decode a sound file to its spectrogram, [resolution, resolution, 1] uint8.

    Raises:
        UnusableImage: as `read_clip`.
    """
    return to_image(read_clip(content, scale), scale)


def read_clip(content: bytes | Place, scale: Scale) -> Sound:
    """The first `scale.seconds` of a sound file, mono, at the scale's rate; shorter if the file is.

    Raises:
        UnusableImage: the content is no sound file, is cut short, silent, marked as synthetic, or
            has values or a rate out of range.
    """
    import soundfile

    try:
        with soundfile.SoundFile(io.BytesIO(read_file(content))) as file:
            rate, channels, log = file.samplerate, file.channels, file.extra_info
            if rate not in RATES or channels > MOST_CHANNELS:
                raise UnusableImage("value_range", f"{rate} Hz in {channels} channels")
            wanted = min(file.frames, math.ceil(scale.seconds * rate))
            samples = file.read(wanted, dtype="float32", always_2d=True).mean(axis=1)
    except (OSError, soundfile.SoundFileError) as error:
        raise UnusableImage("unreadable", one_line(error).split(">: ")[-1]) from error
    if len(samples) < wanted or CUT_SHORT.search(log):
        raise UnusableImage("unreadable", "the file is cut short")
    if not np.isfinite(samples).all():
        raise UnusableImage("value_range", "values that are no numbers")
    if not samples.any():
        raise UnusableImage("silent", f"{len(samples) / rate:.2f} s of silence")
    common = math.gcd(rate, scale.sample_rate)
    resampled = resample_poly(samples, scale.sample_rate // common, rate // common)
    return np.asarray(resampled, np.float32)


def scale_of(params: PrepareParams, *, resolution: int | None = None) -> Scale | None:
    """The scale of the spectrograms, at another resolution if given; None for images."""
    if params.source != "audio":
        return None
    return Scale(resolution or params.resolution, **params.audio.model_dump())


def note_lengths(images: Iterable[SourceImage], scale: Scale) -> list[str]:
    """One sentence on how long the clips are, for those that can be read."""
    import soundfile

    lengths = []
    for image in images:
        path = image.content
        if isinstance(path, Place) and path.is_file():  # reading a pipe would block
            # Files that can't be opened are rejected by name.
            with suppress(OSError, soundfile.SoundFileError), path.open("rb") as file:
                lengths.append(soundfile.info(file).duration)
    if not lengths:
        return []
    cut = sum(length > scale.seconds for length in lengths)
    return [
        f"clips last {min(lengths):.2f} to {max(lengths):.2f} s, median {np.median(lengths):.2f} s;"
        f" prepare.audio.seconds is {scale.seconds:g}: {cut} of {len(lengths)} are cut, the rest "
        "padded with silence"
    ]


def describe_sound(images: Sequence[SourceImage], scale: Scale) -> dict[str, Any]:
    """The scale, and what real clips lose on the way to an image and back.

    Args:
        images: usable ones of the source.
        scale: of the spectrograms.
    Returns:
        `scale`, and `round_trip`: the number of clips; `convergence`, the norm of the difference of
        their magnitude spectra before and after, as a share of the norm before; `decibels`, the
        mean absolute difference of their spectrograms.
    """
    files = [image.content for image in images if isinstance(image.content, Place)]
    chosen = files[:: -(-len(files) // HEARD)]
    errors = [_round_trip(read_clip(file, scale), scale) for file in chosen]
    convergence, decibels = np.mean(errors, axis=0).round(4).tolist()
    found = {"clips": len(chosen), "convergence": convergence, "decibels": decibels}
    return {"scale": asdict(scale), "round_trip": found}


def _round_trip(clip: Sound, scale: Scale) -> tuple[float, float]:
    """Spectral convergence (Sturmel & Daudet 2011) and the mean error in decibels."""
    kept = clip[: scale.num_samples]
    before = np.pad(kept, (0, scale.num_samples - len(kept)))
    image = to_image(before, scale)
    after = to_sound(image, scale)
    one, other = (np.abs(stft(x, nperseg=WINDOW)[2]) for x in (before, after))
    lost = np.abs(image.astype(float) - to_image(after, scale)).mean() * scale.decibels / 255
    return float(np.linalg.norm(one - other) / np.linalg.norm(one)), float(lost)
