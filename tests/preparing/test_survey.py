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
from tests.refusal import refuses


def noise(rng, height, width=None):
    return Image.fromarray(rng.integers(0, 256, (height, width or height), dtype=np.uint8))


@pytest.fixture
def photos(tmp_path):
    """60 cats and 20 dogs of 40 x 50 pixels, of 7 scenes, and three files that can't be used."""
    root, rng = tmp_path / "My Photos", np.random.default_rng(0)
    for name, number in (("cat", 60), ("dog", 20)):
        (root / name).mkdir(parents=True)
        for i in range(number):
            noise(rng, 50, 40).save(root / name / f"scene{i % 7}_{i:02d}.png")
    (root / "cat" / "scene0_broken.png").write_bytes(b"broken")
    first = root / "dog" / "scene0_00.png"
    (root / "dog" / "scene1_copy.png").write_bytes(first.read_bytes())
    Image.new("L", (40, 50), 3).save(root / "dog" / "scene1_flat.png")
    return root


@pytest.fixture
def look(shipped_params):
    def look(path, keep_splits=None, **files):
        params = shipped_params.prepare
        files = params.files.model_copy(update={"path": str(path)} | files)
        changes = {"source": recognise(str(path)), "files": files, "keep_splits": keep_splits}
        return survey(params.model_copy(update=changes), seed=0)

    return look


def write_folders(root, sides):
    """Class folders a and b, each with an image of every side."""
    rng = np.random.default_rng(len(sides))
    for name in ("a", "b"):
        (root / name).mkdir(parents=True)
        for i, side in enumerate(sides):
            noise(rng, side).save(root / name / f"{i:02d}.png")


def test_survey_counts_classes_groups_sizes_and_problems(photos, look):
    found = look(photos, group_pattern=r"(scene\d)_")
    assert found.counts == {"cat": 60, "dog": 20}
    assert (found.num_groups, found.sizes, found.modes) == (7, [((40, 50), 82)], [("L", 82)])
    assert sorted(r.reason for r in found.rejections) == ["constant", "duplicate", "unreadable"]
    assert (found.resolution, found.channels) == (32, 1)
    assert "no groups" not in as_text(found)


def test_masks_and_one_bit_scans_are_warned_about(photos, look):
    assert not any("colours or fewer" in note for note in look(photos).notes)
    rng = np.random.default_rng(0)
    for i, path in enumerate(sorted(photos.rglob("scene*_[0-9]*.png"))):
        mask = Image.fromarray(rng.integers(0, 3, (40, 40), dtype=np.uint8) * 100)
        (mask.convert("1") if i % 2 else mask).save(path)
    (note,) = (note for note in look(photos).notes if "colours or fewer" in note)
    assert note.startswith("32 of the first 32 images have 8 colours or fewer")


def test_a_pipe_and_a_name_too_long_for_a_file_are_among_the_rejected(photos, look):
    rows = [f"{path.parent.name}/{path.name},{path.parent.name}" for path in photos.rglob("*.png")]
    rows += ["x" * 300 + ".png,cat"]
    (photos / "labels.csv").write_text("\n".join(["image,label", *rows]))
    os.mkfifo(photos / "dog" / "scene2_pipe.png")  # it is not waited for
    pipe = ("unreadable", "not a regular file")
    for path, named in ((photos, pipe), (photos / "labels.csv", None)):
        found = look(path)
        assert sum(number for _, number in found.sizes) == 82
        reasons = [(r.reason, r.detail) for r in found.rejections]
        assert sum(reason == "unreadable" for reason, _ in reasons) == 2
        assert named is None or named in reasons


def test_colour_is_noticed_on_a_single_image_and_grey_in_colours_coat_is_grey(photos, look):
    for path in (photos / "dog").glob("scene*_0*.png"):
        with Image.open(path) as image:
            image.convert("RGB").save(path.with_suffix(".jpg"))
    found = look(photos)
    assert (dict(found.modes)["RGB"], found.channels) == (10, 1)
    colour = np.random.default_rng(1).integers(0, 256, (50, 40, 3), dtype=np.uint8)
    Image.fromarray(colour).save(photos / "dog" / "scene3_colour.png")
    found = look(photos)
    assert (found.problems, found.channels) == ([], 3)
    with Image.open(io.BytesIO(found.sheets["dog"])) as sheet:
        assert sheet.mode == "RGB"


def test_splits_of_an_earlier_version_are_not_asked_of_images_at_another_size(photos, look):
    assert look(photos, keep_splits=str(photos / "old")).problems == []


def test_text_and_page_name_what_to_think_about(photos, look):
    found = look(photos)
    text, page = as_text(found), as_html(found)
    assert re.search(r"cat +60 +75%", text)
    for part in ("class 'dog' has 20 distinct images", "note: no groups", "scene0_broken.png: "):
        assert part in text
    assert page.count("data:image/png;base64,") == 2
    assert not re.search(r"(src|href)='?https?:", page)  # it loads nothing
    assert 'alt="images of dog"' in page


def test_resolution_is_the_nearest_to_the_usual_size_and_its_cost_is_told(tmp_path, look):
    reduced = "which keeps {}% of the pixels; {} px would take about 4 x the time"
    enlarged = "which adds time but no detail"
    for side, resolution, cost in (
        (8, 16, f"8 px images are enlarged to 16 px, {enlarged}"),
        (28, 32, f"28 px images are enlarged to 32 px, {enlarged}"),
        (40, 32, f"40 px images are reduced to 32 px, {reduced.format(64, 64)}"),
        (300, 64, f"300 px images are reduced to 64 px, {reduced.format(5, 128)}"),
    ):
        write_folders(tmp_path / str(side), [side] * 12)
        found = look(tmp_path / str(side))
        assert (found.resolution, found.notes[-1]) == (resolution, cost)
    write_folders(tmp_path / "32", [32] * 12)
    assert not any("32 px" in note for note in look(tmp_path / "32").notes)
    write_folders(tmp_path / "mixed", [18, *range(201, 212)])
    assert look(tmp_path / "mixed").resolution == 64


def test_given_splits_have_a_column_each(tmp_path, look):
    for split, number in (("train", 30), ("val", 9), ("testing", 8)):
        write_folders(tmp_path / split, [28] * number)
    text = as_text(look(tmp_path))
    assert re.search(r" +train +val +test +of train\n", text)
    assert re.search(r"a +30 +9 +8 +50%\n", text)


def invoke(*arguments):
    return CliRunner().invoke(app, [str(a) for a in arguments], catch_exceptions=False)


def run_init(photos, params, *options):
    return invoke("init", "--path", photos, "--params", params, *options)


def test_inspect_prints_and_writes_the_sheet(photos, tmp_path, repository):
    sheet, params = tmp_path / "sheet.html", repository / "params.yaml"
    result = invoke("inspect", photos, "--sheet", sheet, "--params", params)
    assert result.exit_code == 0
    assert "80 usable images, 3 rejected" in result.output
    assert sheet.read_text().startswith("<!doctype html>")


def test_init_writes_params_for_the_images_and_changes_no_other_line(photos, repository, tmp_path):
    shipped, path = (repository / "params.yaml").read_text(), tmp_path / "params.yaml"
    path.write_text(shipped)
    options = ("--flips", "hflip", "--group-pattern", r"(scene\d)_")
    assert "next: make repro" in run_init(photos, path, *options).output
    params = load_params(path)
    files = params.prepare.files
    assert (params.prepare.source, params.prepare.resolution, files.path) == (
        "folder",
        32,
        str(photos),
    )
    assert (files.flips, files.group_pattern) == (("hflip",), r"(scene\d)_")
    assert params.merge.name == "my-photos-augmented"
    written = path.read_text()
    assert written.count("#") == shipped.count("#")
    lines = set(written.splitlines()) - set(shipped.splitlines())
    changed = {line.split(":")[0].strip() for line in lines}
    assert changed == {"source", "resolution", "path", "name", "flips", "group_pattern"}
    assert any(line.strip().startswith("flips: [hflip]") for line in lines)


def test_what_prepare_would_refuse_is_a_problem_and_init_leaves_the_file_alone(
    photos, look, write_params
):
    params = write_params({})
    before = params.read_text()
    refuses(ParamsError, r"prepare\.files\.flips", run_init, photos, params, "--flips", "diagonal")
    for i in range(20):
        (photos / "cat" / f"scene0_broken{i}.png").write_bytes(b"broken")
    match = "23 of 103 images are unusable"
    assert look(photos).problems[0].startswith(match)
    refuses(DatasetError, match, run_init, photos, params)
    assert params.read_text() == before
