import pandas as pd
import pytest

from ganaug.errors import DatasetError, GanaugError
from ganaug.fileio import read_json, sha256_file, write_json
from ganaug.publishing.merge import merge_metrics, merge_summary
from ganaug.publishing.verify import verify_dataset
from ganaug.shards import read_rows
from tests.publishing.small_run import CLASSES, GENERATOR, merge, rewrite_synthetic, verdict
from tests.refusal import refuses

SYNTHETIC = "train-synthetic-00000.parquet"


def contents(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def merge_fails(run, match, decision="ship", error=DatasetError, **options):
    """A merge is refused and leaves no dataset."""
    refuses(error, match, merge, run, decision, **options)
    assert not (run / "augmented").exists()


def test_shards_are_copied_byte_for_byte_and_never_linked(small_run):
    shards = [
        p for folder in ("prepared", "synthetic") for p in (small_run / folder).glob("*.parquet")
    ]
    for path in shards:
        path.chmod(0o444)  # as DVC's links are
    merge(small_run)
    assert len(shards) == 4
    for path in shards:
        copy = small_run / "augmented" / path.name
        assert copy.read_bytes() == path.read_bytes()
        assert copy.stat().st_ino != path.stat().st_ino
        assert copy.stat().st_mode & 0o200


def test_manifest_agrees_with_the_files(small_run):
    manifest, out = merge(small_run), small_run / "augmented"
    assert manifest == read_json(out / "manifest.json")
    assert set(manifest["files"]) == {path.name for path in out.glob("*.parquet")}
    for name, entry in manifest["files"].items():
        rows, _ = read_rows([out / name])
        assert entry["sha256"] == sha256_file(out / name)
        assert entry["bytes"] == (out / name).stat().st_size
        assert (entry["rows"], entry["split"]) == (len(rows), rows["split"].iloc[0])
        assert set(rows["source"]) == {entry["source"]}
    assert manifest["counts"]["train"]["cracked"] == {"real": 3, "synthetic": 6}
    assert manifest["counts"]["val"]["clear"] == {"real": 2, "synthetic": 0}
    assert manifest["generator_id"] == GENERATOR
    assert set(manifest["documents"]) == {"README.md", "croissant.json", "classical.json"}
    for name, sha256 in manifest["documents"].items():
        assert sha256_file(out / name) == sha256
    policy = (out / "classical.json").read_text()
    assert "HorizontalFlip" in policy
    assert "VerticalFlip" not in policy  # the toy images may be flipped one way only
    train = pd.read_parquet(sorted(out.glob("train-*.parquet")))  # of both kinds, together
    assert train["source"].value_counts().to_dict() == {"real": 12, "synthetic": 6}
    assert train["seed"].dropna().iloc[0] >= 2**62


def test_real_rows_are_not_read(small_run, monkeypatch):
    seen = []
    note = lambda rows, _, *, where: seen.append(where) or rows  # noqa: E731
    monkeypatch.setattr("ganaug.publishing.merge.check_rows", note)
    merge(small_run)
    assert [where.rpartition("/")[2] for where in seen] == [SYNTHETIC]


@pytest.mark.parametrize("decision", ["ship_real_only", "undecided"])
def test_rejected_images_lie_apart_where_no_glob_for_train_finds_them(small_run, decision):
    manifest, out = merge(small_run, decision), small_run / "augmented"
    for pattern in ("train-*", "*.parquet", "**/train-synthetic*"):
        for path in out.glob(pattern):
            assert set(read_rows([path])[0]["source"]) == {"real"}
    apart = "synthetic/synthetic-00000.parquet"
    assert (out / apart).read_bytes() == (small_run / "synthetic" / SYNTHETIC).read_bytes()
    assert manifest["files"][apart]["source"] == "synthetic"
    assert manifest["synthetic"] == "kept apart"
    assert manifest["configs"]["default"] == manifest["configs"]["real"] == ["real"]
    assert manifest["configs"]["augmented"] == ["real", "synthetic"]
    assert manifest["generator_id"] == GENERATOR
    assert verify_dataset(out) == manifest


def test_real_only_and_copies_leave_no_synthetic_image(small_run):
    copies = verdict("ship_real_only", small_run, passed=False)
    for place, options in (
        ("left out", {"decision": "ship_real_only", "on_reject": "real_only"}),
        ("refused: copies", {"decided": copies}),
        ("refused: copies", {"decided": copies | {"decision": "ship"}}),
        ("refused: copies", {"decided": copies, "on_reject": "real_only"}),
    ):
        manifest = merge(small_run, **options)
        rows, _ = read_rows(sorted((small_run / "augmented").rglob("*.parquet")))
        assert set(rows["source"]) == {"real"}
        assert (manifest["synthetic"], manifest["generator_id"]) == (place, None)
        assert list(manifest["configs"]) == ["default", "real"]
        assert "augmented" not in manifest["recipes"]["cnn"]
        assert merge_metrics(manifest)["num_synthetic"] == 0
        assert verify_dataset(small_run / "augmented") == manifest


def test_what_was_chosen_travels(small_run):
    decided = verdict("ship", small_run)
    decided["networks"]["linear"]["chosen_share"] = 0  # val prefers none
    shipped = merge(small_run, decided=decided)["recipes"]
    cnn = decided["networks"]["cnn"]
    assert shipped["cnn"]["real"] == cnn["without"]
    assert shipped["cnn"]["augmented"] == shipped["cnn"]["default"] == cnn["with"]
    assert shipped["linear"]["default"] == shipped["linear"]["real"]
    apart = merge(small_run, "undecided")["recipes"]
    assert apart["cnn"]["default"] == cnn["without"]
    assert apart["cnn"]["augmented"] == cnn["with"]


def test_an_image_without_its_mark_never_travels(small_run):
    rewrite_synthetic(small_run, marked=False)
    for decision in ("ship", "undecided"):
        merge_fails(small_run, r"00000\.parquet: image .{32} is not marked", decision)


def test_a_verdict_about_other_images_is_refused(small_run):
    def about(**changes):
        own = verdict("ship", small_run)
        files = own["judged"]["files"] | changes.pop("files", {})
        files = {name: sha256 for name, sha256 in files.items() if sha256}
        return own | {"judged": own["judged"] | {"files": files} | changes}

    for name in ("train-real-00000.parquet", "test-00000.parquet", SYNTHETIC):
        match = rf"judged sha256 000000000000 as {name}, .*; run the stage evaluate"
        merge_fails(small_run, match, decided=about(files={name: "0" * 64}))
        merge_fails(small_run, f"judged nothing as {name}", decided=about(files={name: None}))
    more = about(files={"val-00001.parquet": "0" * 64})
    merge_fails(small_run, r"as val-00001\.parquet, and here is nothing", decided=more)
    match = "judged generator cdcd.*, and these images are of abab"
    merge_fails(small_run, match, decided=about(generator_id="cd" * 32))
    nothing = verdict("ship", small_run)
    del nothing["judged"]
    merge_fails(small_run, "lacks judged; run the stage evaluate", decided=nothing)
    merge_fails(small_run, "decision is 'perhaps'", "perhaps")


def test_on_reject_fail_stops_with_the_verdict_and_writes_nothing(small_run):
    match = r"Synthetic images raise macro-F1.*merge\.on_reject|merge\.on_reject.*Synthetic images"
    for decision in ("ship_real_only", "undecided"):
        merge_fails(small_run, match, decision, GanaugError, on_reject="fail")
    assert merge(small_run, on_reject="fail")["synthetic"] == "shipped"


def test_the_same_inputs_give_the_same_bytes_also_over_a_half_written_result(small_run):
    for decision in ("ship", "undecided"):
        first = merge(small_run, decision), contents(small_run / "augmented")
        for name in ("augmented", ".augmented.tmp"):
            (small_run / name).mkdir(exist_ok=True)
            (small_run / name / "train-real-00099.parquet").write_bytes(b"torn")
        assert first == (merge(small_run, decision), contents(small_run / "augmented"))
        assert not (small_run / ".augmented.tmp").exists()


def test_a_changed_shard_is_named_with_its_stage(small_run):
    merge(small_run)
    before = contents(small_run / "augmented")
    for name, stage in (
        ("prepared/val-00000.parquet", "prepare"),
        (f"synthetic/{SYNTHETIC}", "generate"),
    ):
        path = small_run / name
        whole = path.read_bytes()
        half = len(whole) // 2
        path.write_bytes(whole[:half] + bytes([whole[half] ^ 1]) + whole[half + 1 :])
        refuses(DatasetError, rf"{name}: changed.*stage {stage}", merge, small_run)
        path.write_bytes(whole)
    assert contents(small_run / "augmented") == before


def test_synthetic_images_that_do_not_belong_are_refused(small_run):
    shard, path = small_run / "synthetic" / SYNTHETIC, small_run / "synthetic" / "synthetic.json"
    stray = shard.with_name("train-synthetic-00007.parquet")
    stray.write_bytes(shard.read_bytes())
    merge_fails(small_run, r"disagree on train-synthetic-00007\.parquet")
    stray.unlink()
    write_json(read_json(path) | {"generator_id": "cd" * 32}, path)
    merge_fails(small_run, r"another generator than synthetic\.json's cdcd")
    rewrite_synthetic(small_run, side=4)
    merge_fails(small_run, r"images are \(4, 4, 1\), those of prepare \(8, 8, 1\)")
    none = dict.fromkeys(("generator_id", "seed", "label_confidence", "realism", "nearest_id"))
    rewrite_synthetic(small_run, source="real", group_id="g", **none)
    merge_fails(small_run, "rows that are not synthetic")
    rewrite_synthetic(small_run)
    path = small_run / "prepared" / "prepared.json"
    write_json(read_json(path) | {"classes": ["a", "b"]}, path)
    merge_fails(small_run, "class names")


def test_a_full_disk_is_told_in_one_line(small_run, monkeypatch):
    def full(source, target):
        target.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("ganaug.publishing.merge.shutil.copyfile", full)
    merge_fails(small_run, "can't be copied.*No space left")
    assert {path.name for path in small_run.iterdir()} == {"prepared", "synthetic", "verdict.json"}


def test_the_summary_says_counts_both_answers_and_the_verdict(small_run):
    lines = merge_summary(merge(small_run), verdict("ship")).splitlines()
    assert lines[2].split() == [CLASSES[1], "3", "6"]
    assert lines[3] == "synthetic images: beside the real ones, part of the config `default`"
    for part in ("small CNN: ", "mixup, +7.5 pp", "+1.2 pp [+0.3, +2.2]"):
        assert part in lines[4]
    assert lines[-1] == "Ship. Synthetic images raise macro-F1 by 1.2 pp."
    rewrite_synthetic(small_run, number=0)
    decided = verdict("ship_real_only", small_run, any_synthetic=False)
    manifest = merge(small_run, decided=decided)
    lines = merge_summary(manifest, decided).splitlines()
    assert merge_metrics(manifest)["num_synthetic"] == 0
    assert lines[3] == "synthetic images: none was made"
    assert lines[4].endswith("there are no synthetic images")
    assert lines[-1].startswith("Ship the real images only. ")
