from collections import Counter
from itertools import pairwise

import pytest

from ganaug.errors import SourceError
from ganaug.sources.elpv import load_elpv, module_of_each, read_labels
from tests.refusal import refuses


@pytest.fixture(scope="module")
def images(shipped_params):
    cells = list(load_elpv(shipped_params.prepare).images)
    assert len(cells) == 2624  # the package's README
    return cells


def test_the_groups_are_the_44_modules_that_the_package_documents(images):
    sizes = Counter(image.group for image in images)
    assert len(sizes) == 44
    assert max(sizes.values()) <= 72
    kinds = {(image.group, image.class_name.split("-")[0]) for image in images}
    assert len(kinds) == 44  # no module mixes kinds of cells
    assert sum(a.group != b.group for a, b in pairwise(images)) == 43  # runs of the file order
    assert all(image.content.is_file() for image in images[::100])
    assert images[0].name == "images/cell0001.png"


def test_a_cell_is_defective_from_the_threshold_on(shipped_params, images):
    def defective(threshold):
        params = shipped_params.prepare.model_copy(
            update={"elpv": type(shipped_params.prepare.elpv)(defect_threshold=threshold)}
        )
        cells = load_elpv(params).images
        return {cell.name for cell in cells if cell.class_name.endswith("defective")}

    # Annotated probabilities are 0, 1/3, 2/3 and 1.
    assert defective(0.9) < defective(0.5) < defective(0.3)
    assert defective(0.5) == {i.name for i in images if i.class_name.endswith("-defective")}


def test_runs_are_cut_into_modules_of_60_or_72():
    for lengths, sizes in (
        ([60], [60]),
        ([120], [60, 60]),
        ([72], [72]),
        ([144], [72, 72]),
        ([360], [60] * 6),  # a multiple of both: 60 goes first
        ([130], [60, 60, 10]),
        ([48], [48]),
        ([60, 48, 72], [60, 48, 72]),
    ):
        kinds = [kind for i, n in enumerate(lengths) for kind in [("mono", "poly")[i % 2]] * n]
        modules = module_of_each(kinds)
        assert list(Counter(modules).values()) == sizes, lengths
        assert modules == sorted(modules), lengths


def test_labels_that_are_missing_or_out_of_range_are_refused(tmp_path):
    path = tmp_path / "labels.csv"
    refuses(SourceError, r"labels\.csv: not readable .*reinstall elpv-dataset", read_labels, path)
    for line in (
        "images/a.png 1.5 mono",
        "images/a.png high mono",
        "images/a.png 0.5 thin",
        "a.png",
    ):
        path.write_text(f"images/b.png 1.0 mono\n{line}\n")
        refuses(SourceError, r"labels\.csv: line 2 is .*expected a file", read_labels, path)
