import io

import numpy as np
import pytest
import soundfile
from scipy.signal import stft

from ganaug.images import is_marked_synthetic
from ganaug.spectrogram import Scale, encode_wav, to_image, to_sound
from tests.sounds import RATE, noise, tone

SCALE = Scale(64, 1.0, RATE)


def pitch(sound):
    """Hz of the strongest frequency."""
    spectrum = np.abs(np.fft.rfft(sound * np.hanning(len(sound)), 2**17))
    return np.argmax(spectrum) * RATE / 2**17


def brightest_row(image):
    return int(image[:, :, 0].astype(int).sum(axis=1).argmax())


@pytest.mark.parametrize("resolution", [16, 32, 64, 128, 256])
@pytest.mark.parametrize(("seconds", "rate"), [(0.5, 8000), (1.0, 16000), (4.0, 44100)])
def test_every_size_length_and_rate_gives_a_square_and_every_band_a_bin(resolution, seconds, rate):
    scale = Scale(resolution, seconds, rate)
    image = to_image(noise(0, seconds=seconds, rate=rate), scale)
    assert (image.shape, image.dtype) == ((resolution, resolution, 1), np.uint8)
    assert (scale.bands().sum(axis=1) > 0).all()
    assert np.median(image) > 100


def test_higher_tones_lie_in_higher_rows():
    rows = [brightest_row(to_image(tone(hertz), SCALE)) for hertz in (200, 400, 800, 1600, 3200)]
    assert rows == sorted(rows, reverse=True)
    assert len(set(rows)) == 5


def test_full_scale_is_the_top_of_the_scale_and_gain_adds_to_every_value():
    loud, soft = (to_image(tone(440, level=level), SCALE) for level in (1.0, 0.1))
    assert 240 < loud.max() <= 255
    both = (loud > 100) & (loud < 250) & (soft > 0)
    np.testing.assert_allclose((loud.astype(int) - soft)[both], 20 * 255 / SCALE.decibels, atol=1)
    assert not to_image(np.zeros(RATE, np.float32), SCALE).any()


def test_an_event_lies_in_the_column_of_its_time():
    sound = np.zeros(RATE, np.float32)
    sound[RATE // 2 : RATE // 2 + 400] = noise(0, seconds=0.05)
    assert abs(to_image(sound, SCALE)[:, :, 0].sum(axis=0).argmax() - 33) <= 1


@pytest.mark.parametrize("hertz", [150, 261.6, 440, 880, 1760, 3300])
def test_a_round_trip_keeps_the_pitch_within_a_semitone(hertz):
    sound = to_sound(to_image(tone(hertz), SCALE), SCALE)
    assert sound.shape == (RATE,)
    assert abs(12 * np.log2(pitch(sound) / hertz)) < 1


@pytest.mark.parametrize("sound", [tone(440) + tone(1500, level=0.2), noise(3)])
def test_a_round_trip_keeps_level_and_image(sound):
    image = to_image(sound, SCALE)
    after = to_sound(image, SCALE)
    assert 0.7 < after.std() / sound.std() < 1.3
    error = np.abs(image.astype(float) - to_image(after, SCALE)).mean() * SCALE.decibels / 255
    assert error < 4  # dB


def test_phases_fit_better_than_random_ones():
    """Its spectrogram is that of the image, which a sound of random phases has not."""
    sound = to_sound(to_image(tone(440), SCALE), SCALE)
    found = np.abs(stft(sound, nperseg=512)[2])
    peaks = found.max(axis=0)[2:-2]
    assert peaks.std() / peaks.mean() < 0.2


def test_equal_images_give_equal_sounds_and_a_black_one_silence():
    image = to_image(noise(1), SCALE)
    np.testing.assert_array_equal(to_sound(image, SCALE), to_sound(image, SCALE))
    assert not to_sound(np.zeros_like(image), SCALE).any()


@pytest.mark.parametrize("synthetic", [False, True])
def test_wav_is_read_back_and_says_if_it_is_synthetic(synthetic):
    content = encode_wav(tone(440), RATE, synthetic=synthetic)
    back, rate = soundfile.read(io.BytesIO(content))
    assert rate == RATE
    np.testing.assert_allclose(back, tone(440), atol=1e-4)
    assert is_marked_synthetic(content) == synthetic
    assert int.from_bytes(content[4:8], "little") == len(content) - 8
