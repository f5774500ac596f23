import io
import os
import re

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from ganaug.cli import app
from ganaug.config import load_params
from ganaug.errors import DatasetError, ParamsError
from ganaug.preparing.survey import as_html, as_text, survey
from ganaug.sources.recognise import recognise


@pytest.fixture
def photos(tmp_path):
    """60 cats and 10 dogs of 40 x 50 pixels, of 7 scenes, and three files that can't be used."""
    rng = np.random.default_rng(0)
    root = tmp_path / "My Photos"
    for name, number in (("cat", 60), ("dog", 20)):
        (root / name).mkdir(parents=True)
        for i in range(number):
            pixels = rng.integers(0, 256, (50, 40), dtype=np.uint8)
            Image.fromarray(pixels).save(root / name / f"scene{i % 7}_{i:02d}.png")
    (root / "cat" / "scene0_broken.png").write_bytes(b"broken")
    first = root / "dog" / "scene0_00.png"
    (root / "dog" / "scene1_copy.png").write_bytes(first.read_bytes())
    Image.new("L", (40, 50), 3).save(root / "dog" / "scene1_flat.png")
    return root


@pytest.fixture
def look(shipped_params):
    def look(path, **files):
        params = shipped_params.prepare
        files = params.files.model_copy(update={"path": str(path)} | files)
        params = params.model_copy(update={"source": recognise(str(path)), "files": files})
        return survey(params, seed=0)

    return look


def test_survey_counts_classes_groups_sizes_and_problems(photos, look):
    found = look(photos, group_pattern=r"(scene\d)_")
    assert found.counts == {"cat": 60, "dog": 20}
    assert found.num_groups == 7
    assert found.sizes == [((40, 50), 82)]
    assert found.modes == [("L", 82)]
    assert sorted(r.reason for r in found.rejections) == ["constant", "duplicate", "unreadable"]
    assert (found.resolution, found.channels) == (32, 1)


def test_a_pipe_among_the_images_is_not_waited_for(photos, look):
    os.mkfifo(photos / "dog" / "scene2_pipe.png")
    found = look(photos)
    assert sum(number for _, number in found.sizes) == 82
    assert ("unreadable", "not a regular file") in [(r.reason, r.detail) for r in found.rejections]


def test_a_name_too_long_for_a_file_is_among_the_rejected(photos, look):
    rows = [f"{path.parent.name}/{path.name},{path.parent.name}" for path in photos.rglob("*.png")]
    rows += ["x" * 300 + ".png,cat"]
    (photos / "labels.csv").write_text("\n".join(["image,label", *rows]))
    found = look(photos / "labels.csv")
    assert sum(number for _, number in found.sizes) == 82
    assert sum(rejection.reason == "unreadable" for rejection in found.rejections) == 2


def test_colour_is_noticed_on_a_single_image(photos, look):
    colour = np.random.default_rng(1).integers(0, 256, (50, 40, 3), dtype=np.uint8)
    Image.fromarray(colour).save(photos / "dog" / "scene3_colour.png")
    found = look(photos)
    assert found.channels == 3
    assert found.problems == []
    with Image.open(io.BytesIO(found.sheets["dog"])) as sheet:
        assert sheet.mode == "RGB"


def test_splits_of_an_earlier_version_are_not_asked_of_images_at_another_size(
    photos, tmp_path, shipped_params
):
    prepare = shipped_params.prepare
    files = prepare.files.model_copy(update={"path": str(photos)})
    changes = {"source": "folder", "files": files, "keep_splits": str(tmp_path / "old")}
    assert survey(prepare.model_copy(update=changes), seed=0).problems == []


def test_text_names_what_to_think_about(photos, look):
    text = as_text(look(photos))
    assert re.search(r"cat +60 +75%", text)
    assert "class 'dog' has 20 distinct images; below 50 a GAN may do harm" in text
    assert "note: no groups" in text
    assert "scene0_broken.png: " in text
    assert "no groups" not in as_text(look(photos, group_pattern=r"(scene\d)_"))


def test_page_shows_every_class_and_loads_nothing(photos, look):
    page = as_html(look(photos))
    assert page.count("data:image/png;base64,") == 2
    assert not re.search(r"(src|href)='?https?:", page)
    assert "alt='images of dog'" in page


def test_what_prepare_would_refuse_is_a_problem_and_init_stops(photos, look, write_params):
    for i in range(20):
        (photos / "cat" / f"scene0_broken{i}.png").write_bytes(b"broken")
    (problem,) = look(photos).problems
    assert problem.startswith("23 of 103 images are unusable")
    params = write_params({})
    before = params.read_text()
    with pytest.raises(DatasetError, match="23 of 103 images are unusable"):
        run_init(photos, params)
    assert params.read_text() == before


def write_folders(root, sides, **options):
    """Class folders a and b, each with an image of every side, as grey noise."""
    rng = np.random.default_rng(0)
    for name in ("a", "b"):
        (root / name).mkdir(parents=True)
        for i, side in enumerate(sides):
            pixels = rng.integers(0, 256, (side, side), dtype=np.uint8)
            Image.fromarray(pixels).save(root / name / f"{i:02d}.png", **options)


def test_resolution_follows_the_usual_size_not_the_first(tmp_path, look):
    write_folders(tmp_path, [18, *range(201, 212)])
    assert look(tmp_path).resolution == 64


def test_resolution_is_the_nearest_and_its_cost_is_told(tmp_path, look):
    expected = {
        8: (16, "8 px images are enlarged to 16 px, which adds time but no detail"),
        28: (32, "28 px images are enlarged to 32 px, which adds time but no detail"),
        40: (
            32,
            "40 px images are reduced to 32 px, which keeps 64% of the pixels; "
            "64 px would take about 4 x the time",
        ),
        300: (
            64,
            "300 px images are reduced to 64 px, which keeps 5% of the pixels; "
            "128 px would take about 4 x the time",
        ),
    }
    for side, (resolution, cost) in expected.items():
        write_folders(tmp_path / str(side), [side] * 12)
        found = look(tmp_path / str(side))
        assert (found.resolution, found.notes[-1]) == (resolution, cost)
    write_folders(tmp_path / "32", [32] * 12)
    assert not any("32 px" in note for note in look(tmp_path / "32").notes)


def test_given_splits_have_a_column_each(tmp_path, look):
    numbers = {"train": {"a": 30, "b": 10}, "val": {"a": 9, "b": 8}, "testing": {"a": 8, "b": 9}}
    rng = np.random.default_rng(0)
    for split, classes in numbers.items():
        for name, number in classes.items():
            (tmp_path / split / name).mkdir(parents=True)
            for i in range(number):
                pixels = rng.integers(0, 256, (28, 28), dtype=np.uint8)
                Image.fromarray(pixels).save(tmp_path / split / name / f"{i}.png")
    text = as_text(look(tmp_path))
    assert re.search(r"class +train +val +test +of train\n", text)
    assert re.search(r"a +30 +9 +8 +75%\n", text)
    assert re.search(r"b +10 +8 +9 +25%\n", text)


def test_a_grey_picture_in_colours_coat_counts_as_grey(photos, look):
    for path in (photos / "dog").glob("scene*_0*.png"):
        with Image.open(path) as image:
            image.convert("RGB").save(path.with_suffix(".jpg"))
    found = look(photos)
    assert dict(found.modes)["RGB"] == 10
    assert found.channels == 1


def test_inspect_prints_and_writes_the_sheet(photos, tmp_path, repository):
    sheet = tmp_path / "sheet.html"
    result = CliRunner().invoke(
        app,
        [
            "inspect",
            str(photos),
            "--sheet",
            str(sheet),
            "--params",
            str(repository / "params.yaml"),
        ],
        catch_exceptions=False,
    )
    assert result.exit_code == 0
    assert "80 usable images, 3 rejected" in result.output
    assert sheet.read_text().startswith("<!doctype html>")


def run_init(photos, params, *options):
    arguments = ["init", "--path", str(photos), "--params", str(params), *options]
    return CliRunner().invoke(app, arguments, catch_exceptions=False)


def test_init_writes_params_for_the_images_and_keeps_the_comments(photos, write_params):
    params = write_params({})
    before = params.read_text()
    result = run_init(photos, params, "--flips", "hflip", "--group-pattern", r"(scene\d)_")
    assert "next: make repro" in result.output
    prepare = load_params(params).prepare
    assert (prepare.source, prepare.resolution, prepare.channels) == ("folder", 32, 1)
    assert prepare.files.path == str(photos)
    assert prepare.files.flips == ("hflip",)
    assert prepare.files.group_pattern == r"(scene\d)_"
    assert load_params(params).merge.name == "my-photos-augmented"
    assert params.read_text().count("#") == before.count("#")


def test_init_changes_no_other_line(photos, repository, tmp_path):
    shipped = (repository / "params.yaml").read_text()
    (tmp_path / "params.yaml").write_text(shipped)
    run_init(photos, tmp_path / "params.yaml", "--flips", "hflip")
    written = (tmp_path / "params.yaml").read_text().splitlines()
    changed = {line.split(":")[0].strip() for line in set(written) - set(shipped.splitlines())}
    assert changed == {"source", "resolution", "path", "name", "flips"}
    assert any(line.strip().startswith("flips: [hflip]") for line in written)


def test_init_with_a_bad_value_leaves_the_file_alone(photos, write_params):
    params = write_params({})
    before = params.read_text()
    with pytest.raises(ParamsError, match=r"prepare\.files\.flips"):
        run_init(photos, params, "--flips", "diagonal")
    assert params.read_text() == before
