"""README against the repository: its paths, commands and snippets exist and run."""

import re
import shutil
from pathlib import Path

import pytest
from typer.main import get_command

from benchmarks.consumers import run_section, section_of
from benchmarks.pages import marked
from benchmarks.studies import RESULTS, table
from ganaug.cli import app
from ganaug.config import load_params
from tests.versioned import git

REPOSITORY = Path(__file__).parents[1]
README = (REPOSITORY / "README.md").read_text()


def test_every_command_target_and_param_exists():
    makefile = (REPOSITORY / "Makefile").read_text()
    for target in re.findall(r"\$ make (\S+)", README):
        assert re.search(rf"^{target}:", makefile, flags=re.MULTILINE), target
    used = re.findall(r"\bganaug (\w+) --", README)
    assert used
    assert set(used) <= set(get_command(app).commands)
    params = load_params(REPOSITORY / "params.yaml").model_dump()
    for section, key in re.findall(r"-S (\w+)\.(\w+)=", README):
        assert key in params[section]


def test_every_picture_and_every_file_named_in_the_tree_exists():
    tree = re.search(r"```\n(dvc\.yaml.*?)```", README, flags=re.DOTALL)[1]
    for name in re.findall(r"[\w/]+\.(?:py|yaml|md)\b", tree):
        assert list(REPOSITORY.rglob(name)), name
    pictures = re.findall(r"!\[[^]]*\]\(([^)]+)\)", README)
    assert pictures
    assert [name for name in pictures if not (REPOSITORY / name).is_file()] == []


def test_the_table_of_studies_is_what_the_results_say():
    assert marked("studies").search(README)[0] == table(RESULTS), "run `make table`"


@pytest.mark.slow
@pytest.mark.xdist_group("pipeline")
@pytest.mark.filterwarnings("ignore::ResourceWarning")  # webdataset leaves closing to the end ...
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # ... of the object
def test_every_snippet_and_command_of_loading_runs_on_the_result(
    finished, tmp_path, monkeypatch, capsys
):
    """In a copy of a clone where the pipeline has run; the version is tagged there."""
    folder = shutil.copytree(finished[0], tmp_path / "clone")
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "--allow-empty", "-m", "Run")
    git(folder, "tag", "-f", "augmented@v1.2.0")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("ganaug.data.CACHE", tmp_path / "cache")
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "datasets")
    run_section(section_of(REPOSITORY / "README.md", "Load the result"), folder=folder)
    output = capsys.readouterr().out
    assert "torch.Size([1, 16, 16])" in output
    assert "(16, 16) " in output
    assert "(16, 16, 1) uint8" in output
