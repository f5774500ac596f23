import json
import tarfile
import wave

import pandas as pd
import pytest

from ganaug.errors import DatasetError
from ganaug.fileio import read_json, write_json
from ganaug.images import decode_png, is_marked_synthetic, pixel_id
from ganaug.publishing import export
from ganaug.publishing.export import export_dataset
from ganaug.shards import iter_rows
from tests.publishing.small_run import make_old, merge
from tests.refusal import refuses


@pytest.fixture
def rows(augmented):
    """All rows by image_id, with their PNG."""
    paths = sorted(augmented.glob("*.parquet"))
    return {row["image_id"]: (row, png) for path in paths for row, png in iter_rows(path)}


def export_fails(folder, out, match, **options):
    refuses(DatasetError, match, export_dataset, folder, out, **({"layout": "csv"} | options))


def test_files_hold_the_pixels_labels_and_mark_of_their_rows(augmented, rows, tmp_path):
    for layout, table in (("imagefolder", "metadata.csv"), ("csv", "labels.csv")):
        out = tmp_path / layout
        assert export_dataset(augmented, out, layout=layout) == len(rows)
        listed = pd.read_csv(out / table)
        assert set(listed["image_id"]) == set(rows)
        assert sum(1 for _ in out.rglob("*.png")) == len(rows)
        for entry in listed.itertuples():
            content = (out / entry.file_name).read_bytes()
            assert pixel_id(decode_png(content)) == entry.image_id
            assert rows[entry.image_id][0]["label"] == ["clear", "cracked"].index(entry._2)
            assert is_marked_synthetic(content) == (entry.source == "synthetic")
            place = entry.file_name.split("/")[:2]
            assert layout == "csv" or place == [entry.split, entry._2]


@pytest.mark.parametrize(("config", "number"), [("default", 20), ("real", 20), ("augmented", 26)])
def test_each_config_is_exported_by_its_name(small_run, tmp_path, config, number):
    merge(small_run, "undecided")
    out = tmp_path / "out"
    assert export_dataset(small_run / "augmented", out, layout="csv", config=config) == number
    listed = pd.read_csv(out / "labels.csv")
    assert (listed["source"] == "synthetic").sum() == number - 20
    other = "real" if config == "augmented" else "augmented"
    export_fails(small_run / "augmented", out, "holds no part of this export", config=other)


def test_a_config_that_is_not_there_is_told_before_anything_is_written(small_run, tmp_path):
    merge(small_run, "undecided", on_reject="real_only")
    match = "no config 'augmented' in this dataset; there are default, real"
    export_fails(small_run / "augmented", tmp_path / "out", match, config="augmented")
    assert not (tmp_path / "out").exists()


def test_an_old_dataset_is_exported_as_ever(augmented, tmp_path):
    make_old(augmented)
    for config, number in (("default", 26), ("real", 20), ("augmented", 26)):
        out = tmp_path / config
        assert export_dataset(augmented, out, layout="imagefolder", config=config) == number


def test_tars_hold_image_label_and_provenance_side_by_side(augmented, rows, tmp_path, monkeypatch):
    monkeypatch.setattr(export, "ROWS_PER_TAR", 7)
    export_dataset(augmented, tmp_path / "out", layout="webdataset")
    seen = {}
    for path in sorted((tmp_path / "out").glob("*.tar")):
        with tarfile.open(path) as tar:
            names = tar.getnames()
            assert len(names) % 3 == 0
            assert len(names) <= 21
            for start in range(0, len(names), 3):
                (key, suffix), *others = (name.split(".") for name in names[start : start + 3])
                assert [suffix, *others] == ["cls", [key, "json"], [key, "png"]]
                label, facts, png = (tar.extractfile(n).read() for n in names[start : start + 3])
                seen[key] = (png, int(label), json.loads(facts))
                assert path.name.startswith(seen[key][2]["split"])
    assert set(seen) == set(rows)
    for key, (png, label, facts) in seen.items():
        assert png == rows[key][1]
        assert label == rows[key][0]["label"]
        assert facts["generator_id"] == rows[key][0]["generator_id"]


@pytest.mark.parametrize("layout", [name for name in export.LAYOUTS if name != "audio"])
def test_equal_datasets_give_equal_bytes(augmented, tmp_path, layout):
    def written(name):
        export_dataset(augmented, tmp_path / name, layout=layout)
        files = (p for p in (tmp_path / name).rglob("*") if p.is_file())
        return {p.relative_to(tmp_path / name): p.read_bytes() for p in files}

    assert written("a") == written("b")


def test_stopped_export_goes_on_and_leaves_whole_images_alone(augmented, tmp_path):
    export_dataset(augmented, tmp_path / "out", layout="csv")
    whole, torn, *_ = sorted((tmp_path / "out" / "images").iterdir())
    expected = torn.read_bytes()
    torn.write_bytes(expected[:20])
    before = whole.stat().st_mtime_ns
    export_dataset(augmented, tmp_path / "out", layout="csv")
    assert torn.read_bytes() == expected
    assert whole.stat().st_mtime_ns == before


def test_folder_with_anything_else_is_refused(augmented, tmp_path):
    out = tmp_path / "out"
    export_dataset(augmented, out, layout="csv")
    match = "not empty and holds no part of this export"
    export_fails(augmented, out, match, layout="imagefolder")
    manifest = augmented / "manifest.json"
    write_json(read_json(manifest) | {"name": "another-version"}, manifest)
    export_fails(augmented, out, match)


SOUND = {
    "scale": {"resolution": 8, "seconds": 0.1, "sample_rate": 8000, "decibels": 80},
    "round_trip": {"clips": 16, "convergence": 0.25, "decibels": 1.5},
}


def test_sound_is_exported_as_wav_with_the_mark_of_its_image_and_stated_in_the_card(
    small_run, tmp_path
):
    prepared = small_run / "prepared" / "prepared.json"
    write_json(read_json(prepared) | {"sound": SOUND, "symmetries": []}, prepared)
    merge(small_run)
    folder, out = small_run / "augmented", tmp_path / "out"
    assert read_json(folder / "manifest.json")["sound"] == SOUND
    card = " ".join((folder / "README.md").read_text().split())
    assert "0.1 s of sound at 8000 Hz" in card
    assert "Over 16 real clips, what comes back differs from the clip by 25 %" in card
    assert "by 1.5 dB" in card
    assert "XYMasking" in (folder / "classical.json").read_text()
    assert export_dataset(folder, out, layout="audio") == 26
    listed = pd.read_csv(out / "metadata.csv")
    assert len(listed) == 26
    for entry in listed.itertuples():
        assert entry.file_name == f"{entry.split}/{entry._2}/{entry.image_id}.wav"
        with wave.open(str(out / entry.file_name)) as file:
            assert (file.getframerate(), file.getnframes()) == (8000, 800)
        content = (out / entry.file_name).read_bytes()
        assert is_marked_synthetic(content) == (entry.source == "synthetic")


def test_images_are_not_exported_as_sound(augmented, tmp_path):
    match = "holds images, not spectrograms"
    export_fails(augmented, tmp_path / "out", match, layout="audio")
    assert not (tmp_path / "out").exists()
    assert "## Sound" not in (augmented / "README.md").read_text()
    assert "sound" not in read_json(augmented / "manifest.json")
