"""Handwritten digits that come with scikit-learn: 8 x 8 pixels; small, for tests and first runs."""

import numpy as np

from ganaug.config import PrepareParams
from ganaug.images import encode_png
from ganaug.sources.base import Source, SourceFacts, SourceImage, installed

LARGEST = 16  # the package's pixels are 0..16; ours are 0..255
CITATION = (
    "Alpaydin, E. & Kaynak, C. (1998). Optical Recognition of Handwritten Digits. "
    "UCI Machine Learning Repository. doi:10.24432/C50P49"
)


def load_digits(params: PrepareParams) -> Source:
    """The digits in the package's order, each its own group.

    Raises:
        SourceError: scikit-learn is missing.
    """
    facts = SourceFacts(
        name="digits",
        version=installed("scikit-learn").version,
        license="CC-BY-4.0",
        citation=CITATION,
        homepage="https://archive.ics.uci.edu/dataset/80",
        classes=tuple(map(str, range(10))),
        symmetries=(),
    )
    from sklearn.datasets import load_digits as load_bunch

    bunch = load_bunch()
    pixels = np.rint(bunch.images * (255 / LARGEST)).astype(np.uint8)[..., None]  # [N, 8, 8, 1]
    images = [
        SourceImage(f"digit-{i:04d}.png", str(digit), None, None, content=encode_png(image))
        for i, (image, digit) in enumerate(zip(pixels, bunch.target, strict=True))
    ]
    return Source(facts, images)
