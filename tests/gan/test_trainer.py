import os
import signal

import numpy as np
import pytest
import torch

from ganaug.errors import StoppedBySignal, TrainingError
from ganaug.gan.step import STATISTICS
from tests.gan.conftest import Recorder


class StopAfter(Recorder):
    """Sends this process a signal once so many images were seen."""

    def __init__(self, images_seen, signum=signal.SIGTERM):
        super().__init__()
        self.images_seen, self.signum = images_seen, signum

    def metrics(self, images_seen, values):
        super().metrics(images_seen, values)
        if images_seen == self.images_seen:
            os.kill(os.getpid(), self.signum)


def same_weights(first, second):
    return all(torch.equal(first[name], second[name]) for name in first) and bool(first)


@pytest.fixture
def straight(make_trainer, tmp_path):
    """Result and log of a run that nobody stopped."""
    observer = Recorder()
    result = make_trainer(observer=observer).run()
    for file in (tmp_path / "states" / "run").glob("*.safetensors"):
        file.unlink()
    return result, observer


@pytest.mark.parametrize("stop_at", [16, 112, 160, 304])
def test_stopped_and_resumed_run_equals_a_straight_one_bit_for_bit(straight, make_trainer, stop_at):
    with pytest.raises(StoppedBySignal, match=f"SIGTERM after {stop_at} images; saved") as stopped:
        make_trainer(observer=StopAfter(stop_at)).run()
    assert stopped.value.exit_code == 143
    observer = Recorder()
    result = make_trainer(observer=observer).run()
    assert result.resumed_from == stop_at
    assert same_weights(straight[0].weights, result.weights)
    assert straight[0].best == result.best
    assert straight[1].rows == observer.rows  # earlier values come again, so the curves are whole


def test_torn_newest_checkpoint_costs_only_time(straight, make_trainer, tmp_path):
    for stop_at in (64, 176):
        with pytest.raises(StoppedBySignal):
            make_trainer(observer=StopAfter(stop_at)).run()
    newest = tmp_path / "states" / "run" / "000000000176.safetensors"
    newest.write_bytes(newest.read_bytes()[:1000])
    result = make_trainer().run()
    assert result.resumed_from == 160  # saved at the evaluation
    assert same_weights(straight[0].weights, result.weights)


def test_sigint_ends_with_130(make_trainer):
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(StoppedBySignal) as stopped:
        make_trainer(observer=StopAfter(32, signal.SIGINT)).run()
    assert stopped.value.exit_code == 130
    assert signal.getsignal(signal.SIGINT) is before


def test_best_evaluation_ships_even_if_a_later_one_is_worse(make_trainer):
    kids = iter([0.1, 0.7])
    observer = Recorder()
    result = make_trainer(observer=observer, evaluate=lambda i, y: {"kid": next(kids)}).run()
    assert result.best == {"images_seen": 160, "kid": 0.1}
    values = [row["val/kid"] for _, row in observer.rows if "val/kid" in row]
    assert values == [0.1, 0.7]


def test_every_statistic_is_logged_and_total_is_the_sum(straight):
    rows = [row for _, row in straight[1].rows if "loss/total" in row]
    assert set(rows[0]) == set(STATISTICS)  # the first step takes the penalties
    for row in rows:
        total = row["loss/generator"] + row["loss/discriminator"]
        assert row["loss/total"] == pytest.approx(total, rel=1e-5)
        assert 0 < row["probability/real"] < 1
        assert row["gradient_norm/generator"] > 0


def test_generator_learns_which_class_is_bright(make_trainer):
    observer = Recorder()
    make_trainer(kimg=1.6, lr=0.005, observer=observer, augment=()).run()
    dark, bright = observer.grids[-1].reshape(2, -1).mean(axis=1)
    assert bright - dark > 75  # of 150 in the real images


def test_samples_are_shown_at_every_evaluation(straight):
    assert [grid.shape for grid in straight[1].grids] == [(400, 16, 16, 1)] * 2
    assert not np.array_equal(*straight[1].grids)


def test_loss_that_is_not_finite_stops_with_advice(make_trainer):
    with pytest.raises(TrainingError, match=r"not finite after \d+ images; lower train\.lr"):
        make_trainer(kimg=1.6, lr=1e18).run()


@pytest.mark.parametrize("loss", ["non_saturating", "minimax", "hinge"])
def test_every_loss_trains(make_trainer, loss):
    result = make_trainer(kimg=0.064, loss=loss).run()
    assert all(torch.isfinite(weight).all() for weight in result.weights.values())
