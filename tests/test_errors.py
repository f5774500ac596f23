import errno

import pytest

from ganaug.errors import DatasetError, StoppedBySignal, run


def fail(error):
    raise error


def test_what_a_user_can_cause_becomes_one_line_and_an_exit_code(capsys):
    full = "error: data/prepared: the disk is full, or its quota"
    for error, code, line in (
        (DatasetError("data/prepared: no shard"), 2, "error: data/prepared: no shard\n"),
        (StoppedBySignal(15, "saved at 12 kimg"), 143, "stopped: saved at 12 kimg\n"),
        (OSError(errno.ENOSPC, "No space left on device", "data/prepared"), 2, full),
        (OSError(errno.EDQUOT, "No space left on device", "data/prepared"), 2, full),
    ):
        with pytest.raises(SystemExit) as stopped:
            run(lambda error=error: fail(error))
        assert stopped.value.code == code
        told = capsys.readouterr().err
        assert told.startswith(line)
        assert told.count("\n") == 1


def test_other_errors_keep_their_traceback():
    for error in (OSError(errno.EIO, "Input/output error"), ZeroDivisionError("ours")):
        with pytest.raises(type(error)):
            run(lambda error=error: fail(error))


def test_a_command_that_ends_well_says_nothing(capsys):
    done = []
    run(lambda: done.append(1))
    assert done == [1]
    assert capsys.readouterr().err == ""
