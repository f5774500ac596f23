import shutil

import pytest
from dvc.repo import Repo

from ganaug.data import AUGMENTED
from ganaug.errors import DatasetError, GanaugError
from ganaug.fileio import read_json, write_json, write_sealed
from ganaug.release import make_release, needed_bump
from ganaug.shards import iter_rows, read_rows, write_shards
from tests.publishing.small_run import declare_people, make_old, rewrite_synthetic, write_review
from tests.refusal import refuses
from tests.versioned import commit, git, make_repo, merge_again


@pytest.fixture(scope="module")
def released(tmp_path_factory):
    """A repository whose dataset is out as v1.0.0."""
    folder = make_repo(tmp_path_factory.mktemp("released") / "repo", "ship_real_only")
    assert make_release("major", repo=folder) == "augmented@v1.0.0"
    return folder


@pytest.fixture
def repo(released, tmp_path):
    """A copy of it, to be changed."""
    return shutil.copytree(released, tmp_path / "repo")


def release_fails(repo, match, bump="patch", error=GanaugError):
    refuses(error, match, make_release, bump, repo=repo)


def rename(folder):
    """Change the manifest and no row."""
    path = folder / AUGMENTED / "manifest.json"
    write_sealed(read_json(path) | {"name": "renamed"}, path)


def test_the_tag_is_annotated_and_says_what_is_in_it(released):
    assert git(released, "cat-file", "-t", "augmented@v1.0.0").strip() == "tag"
    shown = git(released, "tag", "-n", "--list", "augmented@*")
    assert "toy-augmented: 20 real and 6 synthetic images (kept apart), ship_real_only" in shown


def test_added_rows_take_a_minor_version(repo):
    merge_again(repo, "ship")
    release_fails(repo, "6 rows were added: that takes --bump minor")
    assert make_release("minor", repo=repo) == "augmented@v1.1.0"
    merge_again(repo, "ship_real_only")
    release_fails(repo, r"v1\.1\.0 6 rows were changed or removed: .* major", "minor")
    assert make_release("major", repo=repo) == "augmented@v2.0.0"


def test_rows_that_are_kept_apart_count_as_rows(repo):
    merge_again(repo, "undecided")
    assert make_release("patch", repo=repo) == "augmented@v1.0.1"  # the same, in the same places
    rewrite_synthetic(repo / "run", 9, images_seed=7)
    merge_again(repo, "undecided")
    release_fails(repo, "6 rows were changed or removed: that takes --bump maj", "minor")
    merge_again(repo, "undecided", on_reject="real_only")
    release_fails(repo, "6 rows were changed or removed: that takes --bump maj", "minor")
    assert make_release("major", repo=repo) == "augmented@v2.0.0"
    merge_again(repo, "undecided")
    release_fails(repo, "9 rows were added: that takes --bump minor")
    assert make_release("minor", repo=repo) == "augmented@v2.1.0"


def test_the_last_version_may_be_one_without_configs(repo):
    merge_again(repo, "ship")
    make_old(repo / AUGMENTED)
    commit(repo)
    git(repo, "tag", "-a", "augmented@v1.1.0", "-m", "by an older ganaug")
    merge_again(repo, "undecided")
    release_fails(repo, r"v1\.1\.0 6 rows were changed or removed: .* major", "minor")


@pytest.mark.parametrize("decision", ["ship", "undecided"])
def test_a_verdict_that_is_absent_or_about_other_images_is_refused(repo, decision):
    merge_again(repo, decision)
    path = repo / "results" / "evaluate" / "verdict.json"
    whole = read_json(path)
    files = whole["judged"]["files"]
    real = {name: sha256 for name, sha256 in files.items() if "synthetic" not in name}
    other = files | {"val-00000.parquet": "0" * 64}
    for reason, changes in (
        ("is not the verdict of data/augmented", {"decision": "ship_real_only"}),
        ("judged nothing as train-synthetic-00000", {"judged": whole["judged"] | {"files": real}}),
        ("judged sha256 0{12} as val-00000", {"judged": whole["judged"] | {"files": other}}),
        ("judged generator cdcd", {"judged": whole["judged"] | {"generator_id": "cd" * 32}}),
    ):
        write_json(whole | changes, path)
        git(repo, "commit", "-q", "-a", "-m", "Another verdict")
        release_fails(repo, reason, "major", DatasetError)
    git(repo, "rm", "-q", str(path))
    commit(repo)
    release_fails(repo, r"verdict\.json: no such file", error=DatasetError)


def test_code_alone_is_no_version_and_another_card_takes_a_patch(repo):
    (repo / "code.py").write_text("x = 1\n")
    release_fails(repo, r"commit first \(\?\? code\.py\)")
    commit(repo)
    release_fails(repo, r"nothing has changed since augmented@v1\.0\.0")
    rename(repo)
    release_fails(repo, r"is not what dvc\.lock says", error=DatasetError)
    commit(repo)
    assert make_release("patch", repo=repo) == "augmented@v1.0.1"


def test_what_it_was_made_from_may_be_absent_but_not_changed(repo, monkeypatch):
    monkeypatch.chdir(repo)
    shards = repo / "shards.txt"
    shards.write_text("as merged")
    git(repo, "rm", "-q", "--cached", f"{AUGMENTED}.dvc")
    (repo / f"{AUGMENTED}.dvc").unlink()
    stage = {"cmd": "true", "deps": [shards.name], "outs": [AUGMENTED]}
    write_json({"stages": {"merge": stage}}, repo / "dvc.yaml")
    rename(repo)
    with Repo() as tracked:
        tracked.commit(force=True)
    (repo / ".gitignore").write_text("/run\n/shards.txt\n/data\n")
    git(repo, "add", "-A")
    git(repo, "commit", "-q", "-m", "Merge by a stage")
    shards.write_text("changed")
    release_fails(repo, r"is not what dvc\.lock says", error=DatasetError)
    shards.unlink()
    assert make_release("patch", repo=repo) == "augmented@v1.0.1"


def test_a_dataset_that_is_not_as_stated_is_refused(repo):
    card = repo / AUGMENTED / "README.md"
    card.write_text(card.read_text() + "more")
    commit(repo)
    release_fails(repo, r"README\.md has another sha256", error=DatasetError)


def test_images_of_people_are_refused_until_somebody_has_seen_all_synthetic_ones(repo):
    declare_people(repo / "run")
    merge_again(repo, "undecided")
    match = r"shows people .* nobody has seen all of its synthetic images: run `ganaug review`"
    release_fails(repo, match, error=DatasetError)
    write_review(repo / "run", complete=False)
    merge_again(repo, "undecided")
    release_fails(repo, match, error=DatasetError)
    merge_again(repo, "undecided", on_reject="real_only")
    release_fails(repo, "that takes --bump major")  # nothing synthetic, nothing to see
    write_review(repo / "run", complete=True)
    merge_again(repo, "undecided")
    assert make_release("patch", repo=repo) == "augmented@v1.0.1"


def test_an_unknown_bump_and_a_folder_without_a_repository_are_refused(repo, tmp_path):
    release_fails(repo, "--bump big: not one of patch, minor, major", "big")
    release_fails(tmp_path, "not a git repository", "minor")


def test_bumps_follow_the_rows_and_not_the_files(small_run, tmp_path):
    source = small_run / "prepared" / "train-real-00000.parquet"
    (rows, classes), pngs = read_rows([source]), [png for _, png in iter_rows(source)]

    def bump_of(stem, rows, pngs, classes=classes):
        files = write_shards(rows, pngs, folder=tmp_path, stem=stem, class_names=classes)
        return needed_bump([source], files)

    assert bump_of("turned", rows[::-1], pngs[::-1])[0] == "patch"
    assert bump_of("fewer", rows[:-1], pngs[:-1])[0] == "major"
    assert bump_of("label", rows.assign(label=1), pngs)[0] == "major"
    assert bump_of("group", rows.assign(group_id="other"), pngs)[0] == "major"
    renamed = bump_of("renamed", rows, pngs, ("a", "b"))
    assert renamed == ("major", "12 rows were changed or removed")
