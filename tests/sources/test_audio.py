import os
import shutil
import sys

import pytest

from ganaug.errors import SourceError
from ganaug.images import is_marked_synthetic
from ganaug.preparing.prepare import prepare
from ganaug.preparing.prepared import read_prepared
from ganaug.preparing.survey import as_text, survey
from ganaug.shards import iter_rows
from ganaug.sources.archive import load_archive
from ganaug.sources.audio import load_audio
from ganaug.sources.recognise import recognise
from tests.refusal import refuses
from tests.sounds import tone, write, write_folders


@pytest.fixture
def params(shipped_params, tmp_path):
    """Section `prepare` for a folder of sounds, with changes to it and to its files."""

    def make(files=(), **changes):
        own = shipped_params.prepare
        files = {"path": str(tmp_path / "sounds")} | dict(files)
        audio = own.audio.model_copy(update={"sample_rate": 8000})
        update = {"source": "audio", "resolution": 16, "audio": audio} | changes
        update["files"] = own.files.model_copy(update=files)
        return own.model_copy(update=update)

    return make


def test_class_folders_are_recognised_and_listed_with_groups_and_splits(tmp_path, params):
    for split in ("train", "val", "test"):
        for name in ("a", "b"):
            write(tmp_path / "sounds" / split / name / f"p{split}_1.wav", tone(440))
    assert recognise(str(tmp_path / "sounds")) == "audio"
    source = load_audio(params({"group_pattern": r"/(p\w+)_"}))
    found = [(image.class_name, image.split, image.group) for image in source.images]
    assert ("b", "val", "pval") in found
    assert source.facts.classes == ("a", "b")


def test_a_sound_outside_of_every_class_is_refused(tmp_path, params):
    write(write_folders(tmp_path / "sounds", 2) / "stray.wav", tone(440))
    refuses(SourceError, r"stray\.wav: .*outside of every class folder", load_audio, params())


@pytest.mark.parametrize("change", [{"files": {"flips": ("hflip",)}}, {"channels": 3}])
def test_flips_and_colour_are_refused(tmp_path, params, change):
    write_folders(tmp_path / "sounds", 2)
    match = r"a flipped one is another sound: set prepare.channels to 1 and prepare.files.flips to"
    refuses(SourceError, match, load_audio, params(**change))


def test_an_archive_of_sound_says_to_unpack_it(tmp_path, shipped_params):
    write_folders(tmp_path / "sounds", 2)
    archive = shutil.make_archive(str(tmp_path / "sounds"), "zip", tmp_path / "sounds")
    files = shipped_params.prepare.files.model_copy(update={"path": archive})
    own = shipped_params.prepare.model_copy(update={"source": "archive", "files": files})
    refuses(SourceError, r"sounds\.zip: holds audio; unpack it and set", load_archive, own)


def test_links_pipes_and_odd_names_stop_neither_survey_nor_prepare(tmp_path, params, monkeypatch):
    root = write_folders(tmp_path / "sounds")
    odd = os.fsdecode(bytes(root / "hum") + b"/\xff.wav")
    (root / "hum" / "00.wav").rename(odd)
    (root / "hum" / "gone.wav").symlink_to(tmp_path / "nowhere.wav")
    os.mkfifo(root / "hum" / "pipe.wav")
    assert "clips last 1.00 to 1.00 s" in as_text(survey(params(), seed=0))
    monkeypatch.setattr("ganaug.preparing.sound.HEARD", 1)
    _, numbers = prepare(params(), seed=0, out=tmp_path / "out")
    assert numbers["num_rejected"] == {"unreadable": 2}
    assert numbers["num_images"]["accepted"] == 48


def test_a_missing_package_is_named(params, monkeypatch):
    monkeypatch.setitem(sys.modules, "soundfile", None)
    refuses(SourceError, r"pip install 'ganaug\[audio\]'", load_audio, params())


def test_prepared_images_say_their_scale_and_bad_files_are_rejected(tmp_path, params, monkeypatch):
    root = write_folders(tmp_path / "sounds")
    (root / "hum" / "text.wav").write_text("no sound")
    monkeypatch.setattr("ganaug.preparing.sound.HEARD", 3)
    prepared, numbers = prepare(params(), seed=0, out=tmp_path / "out")
    assert numbers["num_rejected"] == {"unreadable": 1}
    scale = {"resolution": 16, "seconds": 1.0, "sample_rate": 8000, "decibels": 80}
    assert prepared.sound["scale"] == scale
    assert prepared.sound["round_trip"]["clips"] == 3
    assert prepared == read_prepared(tmp_path / "out")
    assert any("clips last 1.00 to 1.00 s" in note for note in prepared.notes)
    row, png = next(iter_rows(prepared.shards("train")[0]))
    assert row["source"] == "real"
    assert not is_marked_synthetic(png)


def test_prepared_images_of_other_sources_do_not_speak_of_sound(prepared_folder):
    assert '"sound"' not in (prepared_folder / "prepared.json").read_text()
    assert read_prepared(prepared_folder).sound is None


def test_the_survey_speaks_of_lengths_and_not_of_flips_or_pixels(tmp_path, params):
    write_folders(tmp_path / "sounds")
    text = as_text(survey(params(), seed=0))
    assert "clips last 1.00 to 1.00 s" in text
    assert "flips" not in text
    assert "sizes:" not in text
