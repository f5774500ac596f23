import errno

import pytest

from ganaug.errors import DatasetError, GanaugError, StoppedBySignal, run


def test_a_users_error_becomes_one_line_and_exit_code_2(capsys):
    def command():
        raise DatasetError("data/prepared: no shard")

    with pytest.raises(SystemExit) as stopped:
        run(command)
    assert stopped.value.code == 2
    assert capsys.readouterr().err == "error: data/prepared: no shard\n"


def test_a_signal_becomes_exit_code_128_plus_its_number(capsys):
    def command():
        raise StoppedBySignal(15, "saved at 12 kimg")

    with pytest.raises(SystemExit) as stopped:
        run(command)
    assert stopped.value.code == 143
    assert capsys.readouterr().err == "stopped: saved at 12 kimg\n"


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_becomes_one_line_and_exit_code_2(capsys, number):
    def command():
        raise OSError(number, "No space left on device", "data/prepared")

    with pytest.raises(SystemExit) as stopped:
        run(command)
    assert stopped.value.code == 2
    assert capsys.readouterr().err.startswith("error: data/prepared: the disk is full, or its quot")


def test_another_error_of_the_system_keeps_its_traceback():
    def command():
        raise OSError(errno.EIO, "Input/output error")

    with pytest.raises(OSError, match="Input/output"):
        run(command)


def test_our_own_mistakes_keep_their_traceback():
    def command():
        raise ZeroDivisionError("ours")

    with pytest.raises(ZeroDivisionError, match="ours"):
        run(command)


def test_a_command_that_ends_well_says_nothing(capsys):
    done = []
    run(lambda: done.append(1))
    assert done == [1]
    assert capsys.readouterr().err == ""


def test_being_stopped_is_not_a_mistake_of_the_user():
    assert not issubclass(StoppedBySignal, GanaugError)
