from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from ganaug.errors import DatasetError, GanaugError
from ganaug.fileio import read_json, sha256_file, write_json
from ganaug.publishing.merge import merge_metrics, merge_summary
from ganaug.publishing.verify import verify_dataset
from ganaug.shards import read_rows
from tests.publishing.small_run import CLASSES, GENERATOR, merge, rewrite_synthetic, verdict


def contents(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def edit_json(path: Path, **changes: Any) -> None:
    write_json(read_json(path) | changes, path)


def test_shards_are_copied_byte_for_byte_and_never_linked(small_run: Path) -> None:
    merge(small_run)
    for folder in ("prepared", "synthetic"):
        for path in (small_run / folder).glob("*.parquet"):
            copy = small_run / "augmented" / path.name
            assert copy.read_bytes() == path.read_bytes()
            assert copy.stat().st_ino != path.stat().st_ino


def test_copies_of_read_only_shards_are_writable(small_run: Path) -> None:
    for path in (small_run / "prepared").glob("*.parquet"):
        path.chmod(0o444)  # as DVC's links are
    merge(small_run)
    mode = (small_run / "augmented" / "train-real-00000.parquet").stat().st_mode
    assert mode & 0o200


def test_manifest_agrees_with_the_files(small_run: Path) -> None:
    manifest = merge(small_run)
    out = small_run / "augmented"
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


def test_manifest_seals_what_lies_beside_the_shards(small_run: Path) -> None:
    documents = merge(small_run)["documents"]
    assert set(documents) == {"README.md", "croissant.json", "classical.json"}
    for name, sha256 in documents.items():
        assert sha256_file(small_run / "augmented" / name) == sha256
    policy = (small_run / "augmented" / "classical.json").read_text()
    assert "HorizontalFlip" in policy
    assert "VerticalFlip" not in policy  # the toy images may be flipped one way only


def test_real_rows_are_not_read(small_run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []

    def note(rows: pd.DataFrame, _classes: object, *, where: str) -> pd.DataFrame:
        seen.append(where)
        return rows

    monkeypatch.setattr("ganaug.publishing.merge.check_rows", note)
    merge(small_run)
    assert [Path(where).name for where in seen] == ["train-synthetic-00000.parquet"]


@pytest.mark.parametrize("decision", ["ship_real_only", "undecided"])
def test_rejected_images_lie_apart_where_no_glob_for_train_finds_them(
    small_run: Path, decision: str
) -> None:
    manifest = merge(small_run, decision)
    out = small_run / "augmented"
    for pattern in ("train-*", "*.parquet", "**/train-synthetic*"):
        for path in out.glob(pattern):
            assert set(read_rows([path])[0]["source"]) == {"real"}
    apart = out / "synthetic" / "synthetic-00000.parquet"
    made = small_run / "synthetic" / "train-synthetic-00000.parquet"
    assert apart.read_bytes() == made.read_bytes()
    assert manifest["files"]["synthetic/synthetic-00000.parquet"]["source"] == "synthetic"
    assert manifest["synthetic"] == "kept apart"
    assert manifest["configs"]["default"] == manifest["configs"]["real"] == ["real"]
    assert manifest["configs"]["augmented"] == ["real", "synthetic"]
    assert manifest["generator_id"] == GENERATOR
    assert verify_dataset(out) == manifest


def test_real_only_and_copies_leave_no_synthetic_image(small_run: Path) -> None:
    copies = verdict("ship_real_only", small_run, passed=False)
    for place, options in (
        ("left out", {"decision": "ship_real_only", "on_reject": "real_only"}),
        ("refused: copies", {"judged": copies}),
        ("refused: copies", {"judged": copies | {"decision": "ship"}}),
        ("refused: copies", {"judged": copies, "on_reject": "real_only"}),
    ):
        manifest = merge(small_run, **options)
        rows, _ = read_rows(sorted((small_run / "augmented").rglob("*.parquet")))
        assert set(rows["source"]) == {"real"}
        assert manifest["synthetic"] == place
        assert manifest["generator_id"] is None
        assert list(manifest["configs"]) == ["default", "real"]
        assert "augmented" not in manifest["recipes"]["cnn"]
        assert merge_metrics(manifest)["num_synthetic"] == 0
        assert verify_dataset(small_run / "augmented") == manifest


def test_what_was_chosen_travels(small_run: Path) -> None:
    judged = verdict("ship", small_run)
    judged["networks"]["linear"]["chosen_share"] = 0  # val prefers none
    shipped = merge(small_run, judged=judged)["recipes"]
    cnn = judged["networks"]["cnn"]
    assert shipped["cnn"]["real"] == cnn["without"]
    assert shipped["cnn"]["augmented"] == shipped["cnn"]["default"] == cnn["with"]
    assert shipped["linear"]["default"] == shipped["linear"]["real"]
    apart = merge(small_run, "undecided")["recipes"]
    assert apart["cnn"]["default"] == cnn["without"]
    assert apart["cnn"]["augmented"] == cnn["with"]


def test_an_image_without_its_mark_never_travels(small_run: Path) -> None:
    rewrite_synthetic(small_run, marked=False)
    for decision in ("ship", "undecided"):
        with pytest.raises(DatasetError, match=r"00000\.parquet: image .{32} is not marked"):
            merge(small_run, decision)
        assert not (small_run / "augmented").exists()


@pytest.mark.parametrize("name", ["train-real-00000", "test-00000", "train-synthetic-00000"])
def test_a_verdict_about_other_shards_is_refused(small_run: Path, name: str) -> None:
    judged = verdict("ship", small_run)
    judged["judged"]["files"][f"{name}.parquet"] = "0" * 64
    match = rf"judged sha256 000000000000 as {name}\.parquet, .*; run the stage evaluate"
    with pytest.raises(DatasetError, match=match):
        merge(small_run, judged=judged)
    del judged["judged"]["files"][f"{name}.parquet"]
    with pytest.raises(DatasetError, match=rf"judged nothing as {name}\.parquet"):
        merge(small_run, judged=judged)
    assert not (small_run / "augmented").exists()


def test_a_verdict_about_more_another_generator_or_nothing_is_refused(small_run: Path) -> None:
    more = verdict("ship", small_run)
    more["judged"]["files"]["val-00001.parquet"] = "0" * 64
    other = verdict("ship", small_run)
    other["judged"]["generator_id"] = "cd" * 32
    nothing = verdict("ship", small_run)
    del nothing["judged"]
    for judged, reason in (
        (more, r"as val-00001\.parquet, and here is nothing"),
        (other, "judged generator cdcd.*, and these images are of abab"),
        (nothing, "lacks judged; run the stage evaluate"),
    ):
        with pytest.raises(DatasetError, match=reason) as caught:
            merge(small_run, judged=judged)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("decision", ["ship_real_only", "undecided"])
def test_on_reject_fail_stops_with_the_verdict_and_writes_nothing(
    small_run: Path, decision: str
) -> None:
    with pytest.raises(GanaugError, match="Synthetic images raise macro-F1") as caught:
        merge(small_run, decision, on_reject="fail")
    assert "merge.on_reject" in str(caught.value)
    assert not (small_run / "augmented").exists()
    assert merge(small_run, on_reject="fail")["synthetic"] == "shipped"


def test_no_synthetic_shard_at_all_is_a_dataset_too(small_run: Path) -> None:
    rewrite_synthetic(small_run, number=0)
    assert merge_metrics(merge(small_run))["num_synthetic"] == 0


def test_the_same_inputs_give_the_same_bytes(small_run: Path) -> None:
    for decision in ("ship", "undecided"):
        first, again = (
            [merge(small_run, decision), contents(small_run / "augmented")] for _ in range(2)
        )
        assert first == again


def test_a_half_written_earlier_result_is_replaced(small_run: Path) -> None:
    for name in ("augmented", ".augmented.tmp"):
        (small_run / name).mkdir()
        (small_run / name / "train-real-00099.parquet").write_bytes(b"torn")
    merge(small_run)
    assert not (small_run / "augmented" / "train-real-00099.parquet").exists()
    assert not (small_run / ".augmented.tmp").exists()


def flip_last_byte(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("name", "stage"),
    [("prepared/val-00000", "prepare"), ("synthetic/train-synthetic-00000", "generate")],
)
def test_a_changed_shard_is_named_with_its_stage(small_run: Path, name: str, stage: str) -> None:
    merge(small_run)
    before = {p.name: p.read_bytes() for p in (small_run / "augmented").iterdir()}
    flip_last_byte(small_run / f"{name}.parquet")
    with pytest.raises(DatasetError, match=rf"{name}\.parquet: changed.*stage {stage}"):
        merge(small_run)
    assert before == {p.name: p.read_bytes() for p in (small_run / "augmented").iterdir()}


def test_a_shard_that_nobody_listed_is_refused(small_run: Path) -> None:
    stray = small_run / "synthetic" / "train-synthetic-00007.parquet"
    stray.write_bytes((small_run / "synthetic" / "train-synthetic-00000.parquet").read_bytes())
    with pytest.raises(DatasetError, match=r"disagree on train-synthetic-00007\.parquet"):
        merge(small_run)


def test_rows_of_another_generator_are_refused(small_run: Path) -> None:
    edit_json(small_run / "synthetic" / "synthetic.json", generator_id="cd" * 32)
    with pytest.raises(DatasetError, match=r"another generator than synthetic\.json's cdcd"):
        merge(small_run)


def test_another_image_shape_is_refused(small_run: Path) -> None:
    rewrite_synthetic(small_run, side=4)
    with pytest.raises(DatasetError, match=r"images are \(4, 4, 1\), those of prepare \(8, 8, 1\)"):
        merge(small_run)


def test_other_class_names_are_refused(small_run: Path) -> None:
    edit_json(small_run / "prepared" / "prepared.json", classes=["a", "b"])
    with pytest.raises(DatasetError, match="class names"):
        merge(small_run)


def test_real_rows_among_the_synthetic_are_refused(small_run: Path) -> None:
    real = {"source": "real", "group_id": "g", "generator_id": None, "seed": None}
    real |= {"label_confidence": None, "realism": None, "nearest_id": None}
    rewrite_synthetic(small_run, **real)
    with pytest.raises(DatasetError, match="rows that are not synthetic"):
        merge(small_run)


def test_an_unknown_decision_is_refused(small_run: Path) -> None:
    with pytest.raises(DatasetError, match="decision is 'perhaps'"):
        merge(small_run, "perhaps")


def test_a_full_disk_is_told_in_one_line(small_run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(source: Path, target: Path) -> None:
        Path(target).write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("ganaug.publishing.merge.shutil.copyfile", full)
    with pytest.raises(DatasetError, match=r"can't be copied.*No space left"):
        merge(small_run)
    assert {path.name for path in small_run.iterdir()} == {"prepared", "synthetic", "verdict.json"}


def test_the_summary_says_counts_both_answers_and_the_verdict(small_run: Path) -> None:
    lines = merge_summary(merge(small_run), verdict("ship")).splitlines()
    assert lines[2].split() == [CLASSES[1], "3", "6"]
    assert lines[3] == "synthetic images: beside the real ones, part of the config `default`"
    assert lines[4] == (
        "small CNN: best without synthetic images: classes drawn equally often, classical "
        "augmentation, mixup, +7.5 pp over plain training; the synthetic images add +1.2 pp "
        "[+0.3, +2.2]"
    )
    assert lines[-1] == "Ship. Synthetic images raise macro-F1 by 1.2 pp."


def test_the_summary_without_a_synthetic_image_says_so(small_run: Path) -> None:
    rewrite_synthetic(small_run, number=0)
    judged = verdict("ship_real_only", small_run, made=False)
    lines = merge_summary(merge(small_run, judged=judged), judged).splitlines()
    assert lines[3] == "synthetic images: none was made"
    assert lines[4].endswith("plain training; there are no synthetic images")
    assert lines[-1].startswith("Ship the real images only. ")


def test_pandas_reads_real_and_synthetic_rows_together(small_run: Path) -> None:
    merge(small_run)
    train = pd.read_parquet(sorted((small_run / "augmented").glob("train-*.parquet")))
    assert train["source"].value_counts().to_dict() == {"real": 12, "synthetic": 6}
    assert train["seed"].dropna().iloc[0] >= 2**62
