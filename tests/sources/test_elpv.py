from collections import Counter
from itertools import pairwise

import pytest

from ganaug.errors import SourceError
from ganaug.sources.elpv import load_elpv, module_of_each, read_labels


@pytest.fixture(scope="module")
def images(shipped_params):
    cells = list(load_elpv(shipped_params.prepare).images)
    assert len(cells) == 2624  # the package's README
    return cells


def test_the_groups_are_the_44_modules_that_the_package_documents(images):
    sizes = Counter(image.group for image in images)
    assert len(sizes) == 44
    assert max(sizes.values()) <= 72


def test_no_module_mixes_kinds_of_cells(images):
    kinds = {(image.group, image.class_name.split("-")[0]) for image in images}
    assert len(kinds) == 44


def test_modules_are_runs_of_the_file_order(images):
    changes = sum(a.group != b.group for a, b in pairwise(images))
    assert changes == 43


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


def test_files_lie_where_the_source_says(images):
    assert all(image.content.is_file() for image in images[::100])
    assert images[0].name == "images/cell0001.png"


@pytest.mark.parametrize(
    ("lengths", "sizes"),
    [
        ([60], [60]),
        ([120], [60, 60]),
        ([72], [72]),
        ([144], [72, 72]),
        ([360], [60] * 6),  # a multiple of both: 60 goes first
        ([130], [60, 60, 10]),
        ([48], [48]),
        ([60, 48, 72], [60, 48, 72]),
    ],
)
def test_runs_are_cut_into_modules_of_60_or_72(lengths, sizes):
    kinds = [kind for i, n in enumerate(lengths) for kind in [("mono", "poly")[i % 2]] * n]
    modules = module_of_each(kinds)
    assert list(Counter(modules).values()) == sizes
    assert modules == sorted(modules)


@pytest.mark.parametrize(
    "line", ["images/a.png 1.5 mono", "images/a.png high mono", "images/a.png 0.5 thin", "a.png"]
)
def test_a_label_out_of_range_names_its_line(tmp_path, line):
    path = tmp_path / "labels.csv"
    path.write_text(f"images/b.png 1.0 mono\n{line}\n")
    with pytest.raises(SourceError, match=r"labels\.csv: line 2 is .*expected a file"):
        read_labels(path)


def test_missing_labels_say_what_to_reinstall(tmp_path):
    with pytest.raises(SourceError, match=r"labels\.csv: not readable .*reinstall elpv-dataset"):
        read_labels(tmp_path / "labels.csv")
