import io
import os

import numpy as np
import pytest
import soundfile

from ganaug.preparing.sound import decode_sound, describe_sound, note_lengths, read_clip
from ganaug.sources.base import SourceImage, UnusableImage
from ganaug.spectrogram import Scale, encode_wav, to_image
from tests.sounds import RATE, noise, tone, write

SCALE = Scale(32, 1.0, RATE)


def encoded(sound, *, rate=RATE, file_format="WAV", **options):
    buffer = io.BytesIO()
    soundfile.write(buffer, sound, rate, format=file_format, **options)
    return buffer.getvalue()


def differs(one, other):
    """Mean difference in decibels."""
    return np.abs(one.astype(float) - other).mean() * SCALE.decibels / 255


@pytest.mark.parametrize("file_format", ["WAV", "FLAC", "OGG", "MP3"])
def test_formats_give_nearly_one_image(file_format):
    sound = tone(440) + noise(0, level=0.02)
    image = decode_sound(encoded(sound, file_format=file_format), SCALE)
    assert differs(image, to_image(sound, SCALE)) < (0.1 if file_format in ("WAV", "FLAC") else 6)


def test_channels_are_averaged():
    stereo = np.stack([tone(440), np.zeros(RATE, "f4")], axis=1)
    assert differs(decode_sound(encoded(stereo), SCALE), to_image(tone(440) / 2, SCALE)) < 0.1


@pytest.mark.parametrize("rate", [11_025, 16_000, 44_100, 48_000])
def test_other_rates_are_resampled(rate):
    clip = read_clip(encoded(tone(440, rate=rate), rate=rate), SCALE)
    assert len(clip) == RATE
    np.testing.assert_allclose(clip[400:-400], tone(440)[400:-400], atol=0.01)


def test_clips_are_cut_or_padded_with_silence():
    long, short = tone(440, seconds=3.0), tone(440, seconds=0.5)
    cut = decode_sound(encoded(long), SCALE)
    np.testing.assert_array_equal(cut, decode_sound(encoded(long[:RATE]), SCALE))
    image = decode_sound(encoded(short), SCALE)[:, :, 0]
    assert image[:, :14].max() > 200
    assert not image[:, 20:].any()


CUT = "the file is cut short"
BROKEN = {
    "empty": (b"", "unreadable", "the file is empty"),
    "text": (b"this is no sound", "unreadable", "Format not recognised"),
    "half a WAV": (encoded(tone(440))[:8000], "unreadable", CUT),
    "half a FLAC": (encoded(tone(440), file_format="FLAC")[:2000], "unreadable", "sync"),
    "half an OGG": (encoded(noise(0), file_format="OGG")[:4000], "unreadable", CUT),
    "no samples": (encoded(tone(440)[:0]), "silent", "0.00 s of silence"),
    "silence": (encoded(np.zeros(RATE)), "silent", "1.00 s of silence"),
    "rate": (encoded(tone(440), rate=10), "value_range", "10 Hz in 1 channels"),
    "no numbers": (
        encoded(np.full(RATE, np.nan), subtype="FLOAT"),
        "value_range",
        "values that are no numbers",
    ),
    "synthetic": (encode_wav(tone(440), RATE, synthetic=True), "synthetic", "trained generator"),
}


@pytest.mark.parametrize("what", BROKEN)
def test_what_cannot_be_used_is_refused_by_reason(what, tmp_path):
    content, reason, detail = BROKEN[what]
    path = tmp_path / "sound.wav"
    path.write_bytes(content)
    for given in (content, path):
        with pytest.raises(UnusableImage, match=detail) as caught:
            decode_sound(given, SCALE)
        assert caught.value.reason == reason
        assert "0x" not in str(caught.value)


def test_a_file_that_was_written_to_a_pipe_is_whole():
    content = encoded(tone(440))
    start = content.index(b"data") + 4
    streamed = content[:start] + b"\xff\xff\xff\xff" + content[start + 4 :]
    assert differs(decode_sound(streamed, SCALE), decode_sound(content, SCALE)) == 0


def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.wav")
    with pytest.raises(UnusableImage, match="not a regular file"):
        decode_sound(tmp_path / "pipe.wav", SCALE)


def test_lengths_and_round_trips_are_stated(tmp_path):
    files = [
        SourceImage(f"{i}", "a", None, None, write(tmp_path / f"{i}.wav", noise(i, seconds=s)))
        for i, s in enumerate((0.5, 1.0, 1.5))
    ]
    (note,) = note_lengths(files, SCALE)
    assert note.startswith("clips last 0.50 to 1.50 s, median 1.00 s")
    assert "1 of 3 are cut" in note
    said = describe_sound(files, SCALE)
    assert Scale(**said["scale"]) == SCALE
    assert said["round_trip"]["clips"] == 3
    assert 0 < said["round_trip"]["convergence"] < 1
    assert 0 < said["round_trip"]["decibels"] < 6
