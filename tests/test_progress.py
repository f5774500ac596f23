import pytest

from ganaug.progress import LINES_PER_RUN, ProgressReport


def test_piped_progress_is_a_few_plain_lines_with_rate_and_time_left(capsys):
    with ProgressReport("train", total=1000) as progress:
        progress.note("val KID 0.1")
        for _ in range(1000):
            progress.advance()
    note, *lines = capsys.readouterr().err.splitlines()
    assert note == "train: val KID 0.1"
    assert len(lines) == LINES_PER_RUN
    assert lines[0].startswith("train: 50/1000 images, ")
    assert "images/s" in lines[0]
    assert lines[0].endswith("left")
    assert lines[-1].startswith("train: 1000/1000 images, ")


def test_rate_counts_only_what_this_process_did_and_slow_units_take_seconds(monkeypatch, capsys):
    clock = iter([10.0, 12.0, 0.0] + [40.0] * 9)
    monkeypatch.setattr("ganaug.progress.time.monotonic", lambda: next(clock))
    progress = ProgressReport("train", total=1000, start=600)
    progress._done += 100
    assert progress.rate == pytest.approx(50)
    with ProgressReport("evaluate", total=4, unit="classifiers") as progress:
        progress.advance()
    line = capsys.readouterr().err
    assert line == "evaluate: 1/4 classifiers, 40.0 s each, 2:00 left\n"
