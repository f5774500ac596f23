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
    assert look(photos).channels == 3


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


def test_resolution_follows_the_usual_size_not_the_first(tmp_path, look):
    rng = np.random.default_rng(0)
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        for i in range(12):
            side = 18 if i == 0 else 200 + i
            pixels = rng.integers(0, 256, (side, side), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / name / f"{i:02d}.png")
    assert look(tmp_path).resolution == 64


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
