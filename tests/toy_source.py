"""A small seeded source of real images, to be prepared on disk for any test."""

from collections.abc import Iterator

import numpy as np

from ganaug.images import Pixels, encode_png
from ganaug.sources.base import Source, SourceFacts, SourceImage

CLASSES = ("left", "right")  # which half is bright
PER_CLASS = {"train": 16, "val": 8, "test": 8}
IMAGES_PER_GROUP = 4  # of each class; a group holds both


def toy_pixels(class_name: str, rng: np.random.Generator, *, channels: int = 1) -> Pixels:
    """[16, 16, channels] uint8: one half bright, with noise, so that a classifier can tell."""
    pixels = rng.integers(0, 100, (16, 16, channels))
    half = slice(0, 8) if class_name == CLASSES[0] else slice(8, 16)
    pixels[:, half] += 120
    return pixels.astype(np.uint8)


def toy_source(*, seed: int = 0, channels: int = 1) -> Source:
    """Two classes with the splits given: `PER_CLASS` images each, in groups of a split."""
    facts = SourceFacts(
        name="toy",
        version="1.0",
        license="CC0-1.0",
        citation="Nobody (2026). Halves.",
        homepage="https://example.org/toy",
        classes=CLASSES,
        symmetries=("vflip",),
    )
    return Source(facts, _images(np.random.default_rng(seed), channels))


def _images(rng: np.random.Generator, channels: int) -> Iterator[SourceImage]:
    for split, number in PER_CLASS.items():
        for class_name in CLASSES:
            for index in range(number):
                yield SourceImage(
                    name=f"{split}/{class_name}/{index:02d}.png",
                    class_name=class_name,
                    group=f"{split}-{index // IMAGES_PER_GROUP}",
                    split=split,
                    content=encode_png(toy_pixels(class_name, rng, channels=channels)),
                )
