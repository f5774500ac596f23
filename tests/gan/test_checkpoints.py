import multiprocessing
from functools import partial

import pytest
import torch
from safetensors import SafetensorError

from ganaug.errors import TrainingError
from ganaug.gan.checkpoints import Checkpoints, fingerprint
from tests.refusal import changed, refuses


@pytest.fixture
def checkpoints(tmp_path):
    return Checkpoints(tmp_path, "run")


def save(checkpoints, *moments):
    for seen in moments:
        checkpoints.save({"x": torch.full((3,), float(seen))}, {"seen": seen}, images_seen=seen)


def test_newest_of_the_two_kept_comes_back_until_cleared(checkpoints):
    assert checkpoints.load() is None
    save(checkpoints, 64, 128, 1000)
    tensors, facts = checkpoints.load()
    assert facts == {"seen": 1000}
    assert tensors["x"].tolist() == [1000.0] * 3
    assert len(list(checkpoints.folder.iterdir())) == 2
    checkpoints.clear()
    assert checkpoints.load() is None


def test_torn_newest_falls_back_to_the_one_before(checkpoints):
    cut, empty, junk = lambda whole: whole[: len(whole) // 2], lambda _: b"", lambda _: b"x" * 90
    turned = [partial(changed, place=place) for place in (0.3, 0.9, 0.999)]
    for damage in (cut, empty, junk, *turned):
        save(checkpoints, 64, 128)
        newest = checkpoints.folder / "000000000128.safetensors"
        newest.write_bytes(damage(newest.read_bytes()))
        assert checkpoints.load()[1] == {"seen": 64}
        assert not newest.exists()


def test_checkpoint_that_the_disk_does_not_give_is_told_and_stays(checkpoints, monkeypatch):
    save(checkpoints, 64, 128)
    before = sorted(checkpoints.folder.iterdir())
    for error in (OSError(5, "Input/output error"), PermissionError(13, "denied")):

        def refuse(*_, error=error, **__):
            raise error

        monkeypatch.setattr("ganaug.gan.checkpoints.safe_open", refuse)
        refuses(TrainingError, r"128\.safetensors: .*nothing was removed", checkpoints.load)
        assert sorted(checkpoints.folder.iterdir()) == before


def test_best_is_kept_beside_the_newest_and_never_resumed_from(checkpoints):
    checkpoints.save_best({"x": torch.zeros(1)}, {"seen": 64})
    assert checkpoints.load() is None
    save(checkpoints, 64, 128, 1000)
    assert checkpoints.load_best()[1] == {"seen": 64}
    assert checkpoints.load()[1] == {"seen": 1000}
    best = checkpoints.folder / "best.safetensors"
    best.write_bytes(best.read_bytes()[:20])
    refuses(TrainingError, r"best\.safetensors: damaged .*train again", checkpoints.load_best)


def _hold(root, ready, done):
    with Checkpoints(root, "run").locked():
        ready.set()
        done.wait(20)


def test_second_process_is_refused_and_the_lock_dies_with_its_holder(tmp_path, checkpoints):
    context = multiprocessing.get_context("spawn")
    ready, done = context.Event(), context.Event()
    holder = context.Process(target=_hold, args=(tmp_path, ready, done))
    holder.start()
    assert ready.wait(20)
    with pytest.raises(TrainingError, match="another process"), checkpoints.locked():
        pass
    holder.kill()
    holder.join()
    with checkpoints.locked():
        pass


def test_fingerprint_follows_the_content_and_not_the_key_order():
    assert fingerprint({"a": 1, "b": 2}) == fingerprint({"b": 2, "a": 1})
    assert fingerprint({"a": 1}) != fingerprint({"a": 2})


def test_a_full_disk_is_told_and_the_last_checkpoint_stays(checkpoints, monkeypatch):
    save(checkpoints, 64)

    def full(*_, **__):
        raise SafetensorError("No space left on device")

    monkeypatch.setattr("ganaug.gan.checkpoints.save_file", full)
    match = r"128\.safetensors: can't be written .No space left on device.; free some space"
    refuses(TrainingError, match, save, checkpoints, 128)
    assert checkpoints.load()[1] == {"seen": 64}
