"""Solar cells seen by electroluminescence: the package elpv-dataset, 300 x 300 pixels, 8-bit grey.

Class = kind of module x defective or not. The package does not name the modules, but lists the
files module by module: cutting each run of one kind into 60 or 72 cells gives the 44 documented.
"""

from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

import pandas as pd

from ganaug.config import PrepareParams
from ganaug.errors import SourceError, explained
from ganaug.sources.base import Source, SourceFacts, SourceImage, installed

PACKAGE = "elpv-dataset"
KINDS = ("mono", "poly")
CELLS_PER_MODULE = (60, 72)  # the usual sizes; the first if neither divides a run
CITATION = (
    "Deitsch, S., Christlein, V., Berger, S., Buerhop-Lutz, C., Maier, A., Gallwitz, F. & Riess, "
    "C. (2019). Automatic classification of defective photovoltaic module cells in "
    "electroluminescence images. Solar Energy 185, 455-468. doi:10.1016/j.solener.2019.02.067. "
    "Buerhop-Lutz, C., Deitsch, S., Maier, A., Gallwitz, F., Berger, S., Doll, B., Hauch, J., "
    "Camus, C. & Brabec, C. J. (2018). A Benchmark for Visual Identification of Defective Solar "
    "Cells in Electroluminescence Imagery. EU PVSEC. doi:10.4229/35thEUPVSEC20182018-5CV.3.15"
)


def load_elpv(params: PrepareParams) -> Source:
    """The cells in file order; a group is a module.

    Raises:
        SourceError: the package is missing or its labels are not as documented.
    """
    package = installed(PACKAGE)
    facts = SourceFacts(
        name="elpv",
        version=package.version,
        license="CC-BY-NC-SA-4.0",
        citation=CITATION,
        homepage="https://github.com/zae-bayern/elpv-dataset",
        classes=tuple(f"{kind}-{state}" for kind in KINDS for state in ("functional", "defective")),
        symmetries=("hflip", "vflip"),
    )
    data = Path(str(package.locate_file("elpv_dataset/data")))
    cells = read_labels(data / "labels.csv")
    return Source(facts, _images(cells, data, threshold=params.elpv.defect_threshold))


def read_labels(path: Path) -> pd.DataFrame:
    """Columns `file`, `probability` (0..1, of a defect) and `kind` (mono | poly), in file order.

    Raises:
        SourceError: the file is missing or a row is not as documented.
    """
    strange, then = (OSError, ValueError), f"reinstall {PACKAGE}"
    with explained(SourceError, f"{path}: not readable", *strange, then=then):
        cells = pd.read_csv(path, sep=r"\s+", header=None, names=["file", "probability", "kind"])
    probability = pd.to_numeric(cells["probability"], errors="coerce")
    bad = cells[~probability.between(0, 1) | ~cells["kind"].isin(KINDS)]
    if len(bad):
        raise SourceError(
            f"{path}: line {bad.index[0] + 1} is {bad.iloc[0].tolist()}; "
            f"expected a file, a probability 0..1 and one of {', '.join(KINDS)}"
        )
    return cells.assign(probability=probability)


def module_of_each(kinds: list[str]) -> list[str]:
    """Names of modules, one a cell: runs of equal kind, cut to 60 or to 72 cells."""
    modules: list[str] = []
    number = 0
    for _, run in groupby(kinds):
        length = len(list(run))
        size = next((s for s in CELLS_PER_MODULE if length % s == 0), CELLS_PER_MODULE[0])
        modules += [f"module-{number + 1 + cell // size:02d}" for cell in range(length)]
        number += -(-length // size)
    return modules


def _images(cells: pd.DataFrame, data: Path, *, threshold: float) -> Iterator[SourceImage]:
    modules = module_of_each(cells["kind"].tolist())
    for (file, probability, kind), module in zip(cells.to_numpy().tolist(), modules, strict=True):
        state = "defective" if probability >= threshold else "functional"
        yield SourceImage(file, f"{kind}-{state}", module, split=None, content=data / file)
