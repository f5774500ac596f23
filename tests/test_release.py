import shutil

import pytest
from dvc.repo import Repo

from ganaug.data import AUGMENTED
from ganaug.errors import DatasetError, GanaugError
from ganaug.fileio import read_json, write_json
from ganaug.release import make_release, needed_bump
from ganaug.shards import iter_rows, read_rows, write_shards
from tests.publishing.small_run import make_old, rewrite_synthetic
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


def edit_manifest(folder, **changes):
    path = folder / AUGMENTED / "manifest.json"
    write_json(read_json(path) | changes, path)


def test_the_tag_is_annotated_and_says_what_is_in_it(released):
    assert git(released, "cat-file", "-t", "augmented@v1.0.0").strip() == "tag"
    shown = git(released, "tag", "-n", "--list", "augmented@*")
    assert "toy-augmented: 20 real and 6 synthetic images (kept apart), ship_real_only" in shown


def test_added_rows_take_a_minor_version(repo):
    merge_again(repo, "ship")
    with pytest.raises(GanaugError, match="6 rows were added: that takes --bump minor"):
        make_release("patch", repo=repo)
    assert make_release("minor", repo=repo) == "augmented@v1.1.0"
    merge_again(repo, "ship_real_only")
    with pytest.raises(GanaugError, match=r"v1\.1\.0 6 rows were changed or removed: .* major"):
        make_release("minor", repo=repo)
    assert make_release("major", repo=repo) == "augmented@v2.0.0"


def test_rows_that_are_kept_apart_count_as_rows(repo):
    merge_again(repo, "undecided")
    assert make_release("patch", repo=repo) == "augmented@v1.0.1"  # the same, in the same places
    rewrite_synthetic(repo / "run", 9, images_seed=7)
    merge_again(repo, "undecided")
    with pytest.raises(GanaugError, match="6 rows were changed or removed: that takes --bump maj"):
        make_release("minor", repo=repo)
    merge_again(repo, "undecided", on_reject="real_only")
    with pytest.raises(GanaugError, match="6 rows were changed or removed: that takes --bump maj"):
        make_release("minor", repo=repo)
    assert make_release("major", repo=repo) == "augmented@v2.0.0"
    merge_again(repo, "undecided")
    with pytest.raises(GanaugError, match="9 rows were added: that takes --bump minor"):
        make_release("patch", repo=repo)
    assert make_release("minor", repo=repo) == "augmented@v2.1.0"


def test_the_last_version_may_be_one_without_configs(repo):
    merge_again(repo, "ship")
    make_old(repo / AUGMENTED)
    commit(repo)
    git(repo, "tag", "-a", "augmented@v1.1.0", "-m", "by an older ganaug")
    merge_again(repo, "undecided")
    with pytest.raises(GanaugError, match=r"v1\.1\.0 6 rows were changed or removed: .* major"):
        make_release("minor", repo=repo)


@pytest.mark.parametrize("decision", ["ship", "undecided"])
def test_a_verdict_about_other_images_is_refused(repo, decision):
    merge_again(repo, decision)
    path = repo / "results" / "evaluate" / "verdict.json"
    whole = read_json(path)
    other = {
        "judged nothing as train-synthetic-00000": {"files": {}},
        "judged sha256 000000000000 as val-00000": {"files": {"val-00000.parquet": "0" * 64}},
        "judged generator cdcd": {"generator_id": "cd" * 32},
    }
    for reason, changes in other.items():
        judged = whole["judged"] | changes
        if changes.get("files"):
            judged["files"] = whole["judged"]["files"] | changes["files"]
        elif "files" in changes:
            judged["files"] = {
                name: sha256
                for name, sha256 in whole["judged"]["files"].items()
                if "synthetic" not in name
            }
        write_json(whole | {"judged": judged}, path)
        git(repo, "commit", "-q", "-a", "-m", "Another verdict")
        with pytest.raises(DatasetError, match=reason):
            make_release("major", repo=repo)


def test_the_same_rows_beside_another_card_take_a_patch(repo):
    edit_manifest(repo, name="renamed")
    commit(repo)
    assert make_release("patch", repo=repo) == "augmented@v1.0.1"


def test_nothing_new_is_no_version(repo):
    (repo / "code.py").write_text("x = 1\n")
    git(repo, "add", "-A")
    git(repo, "commit", "-q", "-m", "Change code alone")
    with pytest.raises(GanaugError, match=r"nothing has changed since augmented@v1\.0\.0"):
        make_release("patch", repo=repo)


def test_uncommitted_changes_are_named(repo):
    (repo / "code.py").write_text("x = 1\n")
    with pytest.raises(GanaugError, match=r"commit first \(\?\? code\.py\)"):
        make_release("patch", repo=repo)


def test_a_dataset_that_is_not_the_committed_one_is_refused(repo):
    edit_manifest(repo, name="renamed")
    with pytest.raises(DatasetError, match=r"is not what dvc\.lock says"):
        make_release("patch", repo=repo)


def test_what_it_was_made_from_may_be_absent_but_not_changed(repo, monkeypatch):
    monkeypatch.chdir(repo)
    shards = repo / "shards.txt"
    shards.write_text("as merged")
    git(repo, "rm", "-q", "--cached", f"{AUGMENTED}.dvc")
    (repo / f"{AUGMENTED}.dvc").unlink()
    stage = {"cmd": "true", "deps": [shards.name], "outs": [AUGMENTED]}
    write_json({"stages": {"merge": stage}}, repo / "dvc.yaml")
    edit_manifest(repo, name="renamed")
    with Repo() as tracked:
        tracked.commit(force=True)
    (repo / ".gitignore").write_text("/run\n/shards.txt\n/data\n")
    git(repo, "add", "-A")
    git(repo, "commit", "-q", "-m", "Merge by a stage")
    shards.write_text("changed")
    with pytest.raises(DatasetError, match=r"is not what dvc\.lock says"):
        make_release("patch", repo=repo)
    shards.unlink()
    assert make_release("patch", repo=repo) == "augmented@v1.0.1"


def test_a_dataset_that_is_not_as_stated_is_refused(repo):
    card = repo / AUGMENTED / "README.md"
    card.write_text(card.read_text() + "more")
    commit(repo)
    with pytest.raises(DatasetError, match=r"README\.md has another sha256"):
        make_release("patch", repo=repo)


def test_the_verdict_must_be_there_and_be_of_this_dataset(repo):
    path = repo / "results" / "evaluate" / "verdict.json"
    write_json(read_json(path) | {"decision": "ship"}, path)
    commit(repo)
    with pytest.raises(DatasetError, match="is not the verdict of data/augmented"):
        make_release("patch", repo=repo)
    git(repo, "rm", "-q", str(path))
    commit(repo)
    with pytest.raises(DatasetError, match=r"verdict\.json: no such file"):
        make_release("patch", repo=repo)


def test_an_unknown_bump_is_refused(repo):
    with pytest.raises(GanaugError, match="--bump big: not one of patch, minor, major"):
        make_release("big", repo=repo)


def test_no_tag_is_made_where_there_is_no_repository(tmp_path):
    with pytest.raises(GanaugError, match="not a git repository"):
        make_release("minor", repo=tmp_path)


def rewrite(folder, source, change):
    """The rows of a shard, changed, as another set of shards."""
    (rows, classes), pngs = read_rows([source]), [png for _, png in iter_rows(source)]
    rows, pngs = change(rows, pngs)
    folder.mkdir()
    return write_shards(rows, pngs, folder=folder, stem="other", class_names=classes)


@pytest.mark.parametrize(
    ("change", "bump"),
    [
        (lambda rows, pngs: (rows[::-1], pngs[::-1]), "patch"),
        (lambda rows, pngs: (rows[:-1], pngs[:-1]), "major"),
        (lambda rows, pngs: (rows.assign(label=1), pngs), "major"),
        (lambda rows, pngs: (rows.assign(group_id="other"), pngs), "major"),
    ],
)
def test_bumps_follow_the_rows_and_not_the_files(small_run, tmp_path, change, bump):
    source = small_run / "prepared" / "train-real-00000.parquet"
    assert needed_bump([source], rewrite(tmp_path / "out", source, change))[0] == bump


def test_renamed_classes_change_every_row(small_run, tmp_path):
    source = small_run / "prepared" / "train-real-00000.parquet"
    (rows, _), pngs = read_rows([source]), [png for _, png in iter_rows(source)]
    other = write_shards(rows, pngs, folder=tmp_path, stem="x", class_names=("a", "b"))
    assert needed_bump([source], other) == ("major", "12 rows were changed or removed")
