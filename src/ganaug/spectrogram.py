"""Sound as a grey image and back: a log-mel spectrogram, inverted by Griffin-Lim.

Columns are moments, rows mel bands with the highest on top. 255 is the power of a full-scale sine,
0 is `decibels` below it or less. So the scale depends on no clip, and an image alone can be heard.

By SciPy alone: on recorded prompts librosa comes no nearer (docs/sound.md) and adds 215 MB, and
torchaudio's last release does not load beside our torch.
"""

import io
import struct
import wave
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.signal import istft, stft

from ganaug.images import SYNTHETIC_XMP, Pixels

FRAMES_PER_WINDOW = 4  # windows overlap by three quarters, which Griffin-Lim needs
HANN_BINS = 1.5  # bins over which a Hann window spreads the power of a sine
MEL_ROUNDS, PHASE_ROUNDS, MOMENTUM = 100, 32, 0.99

Sound = NDArray[np.float32]  # [samples], mono, -1..1


@dataclass(frozen=True)
class Scale:
    """What turns sound into images of this size: the same for all clips of a dataset."""

    resolution: int  # mel bands, and moments
    seconds: float  # of each clip
    sample_rate: int  # Hz
    decibels: float = 80  # from the darkest to the brightest value

    @property
    def num_samples(self) -> int:
        """Length of a clip."""
        return round(self.seconds * self.sample_rate)

    @property
    def hop(self) -> int:
        """Samples from one column to the next."""
        return -(-self.num_samples // (self.resolution - 1))

    @property
    def options(self) -> dict[str, int]:
        """For SciPy; the transform is long enough for the narrowest band to have a bin."""
        window, lowest = FRAMES_PER_WINDOW * self.hop, self.band_edges()[1]
        length = 2 ** int(np.ceil(np.log2(max(window, self.sample_rate / lowest))))
        return {"nperseg": window, "noverlap": window - self.hop, "nfft": length}

    def band_edges(self) -> NDArray[np.float64]:
        """[resolution + 2] Hz, evenly spaced in mel (O'Shaughnessy's formula)."""
        top = np.log1p(self.sample_rate / 2 / 700)
        return np.asarray(700 * np.expm1(np.linspace(0, top, self.resolution + 2)))

    def bands(self) -> NDArray[np.float64]:
        """[resolution, bins]: triangles that share the power of a sine between two bands."""
        options, edges = self.options, self.band_edges()[:, None]
        bins = np.fft.rfftfreq(options["nfft"], 1 / self.sample_rate)
        rising = (bins - edges[:-2]) / (edges[1:-1] - edges[:-2])
        falling = (edges[2:] - bins) / (edges[2:] - edges[1:-1])
        spread = HANN_BINS * options["nfft"] / options["nperseg"]
        return np.asarray(np.maximum(0, np.minimum(rising, falling)) / spread)


def to_image(sound: Sound, scale: Scale) -> Pixels:
    """[samples] -> [resolution, resolution, 1]; what is too long is cut, too short padded."""
    power = np.abs(_transform(sound, scale)) ** 2
    decibels = 10 * np.log10(np.maximum(scale.bands() @ power, 1e-30))[::-1, :, None]
    values: Pixels = np.rint(255 * np.clip(1 + decibels / scale.decibels, 0, 1)).astype(np.uint8)
    return values


def to_sound(image: Pixels, scale: Scale) -> Sound:
    """A sound whose spectrogram is near the image: the phase is found by fast Griffin-Lim.

    Source: Perraudin, Balazs & Søndergaard, "A fast Griffin-Lim algorithm" (2013), with random
    phases to begin with, always the same ones.
    """
    decibels = (image[::-1, :, 0] / 255 - 1) * scale.decibels
    power = np.where(image[::-1, :, 0] > 0, 10 ** (decibels / 10), 0)
    magnitude = np.sqrt(_spread_over_bins(power, scale.bands()))
    turns = np.random.default_rng(0).random(magnitude.shape)
    found = magnitude * np.exp(2j * np.pi * turns)
    before = np.zeros_like(found)
    for _ in range(PHASE_ROUNDS):
        rebuilt = _transform(_inverse(found, scale), scale)
        ahead = rebuilt + MOMENTUM * (rebuilt - before)
        found = magnitude * ahead / np.maximum(np.abs(ahead), 1e-16)
        before = rebuilt
    return np.clip(_inverse(found, scale)[: scale.num_samples], -1, 1).astype(np.float32)


def encode_wav(sound: Sound, sample_rate: int, *, synthetic: bool = False) -> bytes:
    """Encode as 16-bit WAV; `synthetic` marks the file as `images.encode_png` does."""
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(sample_rate)
        file.writeframes(np.rint(sound * 32767).astype("<i2").tobytes())
    if synthetic:
        mark = SYNTHETIC_XMP.encode()
        mark += b" " * (len(mark) % 2)  # chunks have even length
        buffer.write(b"_PMX" + struct.pack("<I", len(mark)) + mark)
    size = struct.pack("<I", buffer.seek(0, io.SEEK_END) - 8)
    return b"RIFF" + size + buffer.getvalue()[8:]


def _transform(sound: NDArray[np.floating], scale: Scale) -> NDArray[np.complex128]:
    """[bins, resolution]; 1 is the magnitude of a full-scale sine."""
    length = scale.hop * (scale.resolution - 1)
    padded = np.zeros(length)
    kept = sound[: min(length, scale.num_samples)]
    padded[: len(kept)] = kept
    return np.asarray(2 * stft(padded, padded=False, **scale.options)[2])


def _inverse(transformed: NDArray[np.complex128], scale: Scale) -> NDArray[np.float64]:
    return np.asarray(istft(transformed / 2, **scale.options)[1])


def _spread_over_bins(
    power: NDArray[np.float64], bands: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Power of the bins whose sums over the bands come near: not negative, least squares.

    Source: Lee & Seung, "Algorithms for non-negative matrix factorization" (2001), equation 4.
    """
    wanted = bands.T @ power
    found = wanted.copy()
    for _ in range(MEL_ROUNDS):
        found *= wanted / np.maximum(bands.T @ (bands @ found), 1e-30)
    return found
