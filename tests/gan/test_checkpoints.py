import multiprocessing

import pytest
import torch

from ganaug.errors import TrainingError
from ganaug.gan.checkpoints import Checkpoints, fingerprint


@pytest.fixture
def checkpoints(tmp_path):
    return Checkpoints(tmp_path, "run")


def save(checkpoints, seen):
    checkpoints.save({"x": torch.full((3,), float(seen))}, {"seen": seen}, images_seen=seen)


def test_newest_comes_back_and_two_are_kept(checkpoints):
    for seen in (64, 128, 1000):
        save(checkpoints, seen)
    tensors, facts = checkpoints.load()
    assert facts == {"seen": 1000}
    assert tensors["x"].tolist() == [1000.0] * 3
    assert len(list(checkpoints.folder.iterdir())) == 2


@pytest.mark.parametrize("damage", [lambda b: b[: len(b) // 2], lambda b: b"", lambda b: b"x" * 90])
def test_torn_newest_falls_back_to_the_one_before(checkpoints, damage):
    save(checkpoints, 64)
    save(checkpoints, 128)
    newest = checkpoints.folder / "000000000128.safetensors"
    newest.write_bytes(damage(newest.read_bytes()))
    assert checkpoints.load()[1] == {"seen": 64}
    assert not newest.exists()


@pytest.mark.parametrize("error", [OSError(5, "Input/output error"), PermissionError(13, "denied")])
def test_checkpoint_that_the_disk_does_not_give_is_told_and_stays(checkpoints, monkeypatch, error):
    for seen in (64, 128):
        save(checkpoints, seen)
    before = sorted(checkpoints.folder.iterdir())

    def refuse(*_, **__):
        raise error

    monkeypatch.setattr("ganaug.gan.checkpoints.safe_open", refuse)
    with pytest.raises(
        TrainingError, match=r"128\.safetensors: can't be read .*nothing was removed"
    ):
        checkpoints.load()
    assert sorted(checkpoints.folder.iterdir()) == before


def test_damaged_best_is_named(checkpoints):
    checkpoints.save_best({"x": torch.zeros(1)}, {})
    best = checkpoints.folder / "best.safetensors"
    best.write_bytes(best.read_bytes()[:20])
    with pytest.raises(TrainingError, match=r"best\.safetensors: damaged .*train again"):
        checkpoints.load_best()


def test_best_is_kept_beside_the_newest_and_never_resumed_from(checkpoints):
    checkpoints.save_best({"x": torch.zeros(1)}, {"seen": 64})
    assert checkpoints.load() is None
    for seen in (64, 128, 1000):
        save(checkpoints, seen)
    assert checkpoints.load_best()[1] == {"seen": 64}
    assert checkpoints.load()[1] == {"seen": 1000}


def test_nothing_saved_gives_none(checkpoints):
    assert checkpoints.load() is None


def test_clear_forgets_the_run(checkpoints):
    save(checkpoints, 64)
    checkpoints.clear()
    assert checkpoints.load() is None


def _hold(root, ready, done):
    with Checkpoints(root, "run").locked():
        ready.set()
        done.wait(20)


def test_second_process_is_refused_and_the_lock_dies_with_its_holder(tmp_path):
    context = multiprocessing.get_context("spawn")
    ready, done = context.Event(), context.Event()
    holder = context.Process(target=_hold, args=(tmp_path, ready, done))
    holder.start()
    assert ready.wait(20)
    second = Checkpoints(tmp_path, "run")
    with pytest.raises(TrainingError, match="another process is training"), second.locked():
        pass
    holder.kill()
    holder.join()
    with second.locked():
        pass


def test_fingerprint_follows_the_content_and_not_the_key_order():
    assert fingerprint({"a": 1, "b": 2}) == fingerprint({"b": 2, "a": 1})
    assert fingerprint({"a": 1}) != fingerprint({"a": 2})
