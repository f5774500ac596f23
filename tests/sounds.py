"""Tones and noise as arrays, as files, and as class folders."""

from pathlib import Path

import numpy as np
import soundfile

RATE = 8000


def tone(hertz, *, seconds=1.0, rate=RATE, level=0.5):
    time = np.arange(round(seconds * rate)) / rate
    return (level * np.sin(2 * np.pi * hertz * time)).astype("f4")


def noise(seed, *, seconds=1.0, rate=RATE, level=0.1):
    drawn = np.random.default_rng(seed).normal(0, level, round(seconds * rate))
    return np.clip(drawn, -1, 1).astype("f4")


def write(path: Path, sound, *, rate=RATE) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, sound, rate)
    return path


def write_folders(root: Path, number=24) -> Path:
    """ROOT/hum and ROOT/hiss: tones of all pitches, and noise."""
    for i in range(number):
        write(root / "hum" / f"{i:02d}.wav", tone(150 * 1.12**i) + noise(i, level=0.003))
        write(root / "hiss" / f"{i:02d}.flac", noise(i) * (1 + i) / number)
    return root
