import multiprocessing
import os
import random
import re
import shutil
import signal
import threading
import time

import numpy as np
import pytest
import torch

from ganaug.errors import StoppedBySignal, TrainingError
from ganaug.gan import trainer as trainer_module
from ganaug.gan.schedules import cosine
from tests.gan.conftest import Recorder, build_trainer


def forget(states):
    """Remove the checkpoints of a run."""
    for file in (states / "run").glob("*.safetensors"):
        file.unlink()


class StopAfter(Recorder):
    """Sends this process a signal once so many images were seen."""

    def __init__(self, images_seen, signum=signal.SIGTERM):
        super().__init__()
        self.images_seen, self.signum = images_seen, signum

    def metrics(self, images_seen, values):
        super().metrics(images_seen, values)
        if images_seen == self.images_seen:
            os.kill(os.getpid(), self.signum)


def resumed_from(capsys):
    """Images that the last run had seen before, as it told."""
    told = re.findall(r"resumed from (\d+) images", capsys.readouterr().err)
    return int(told[-1]) if told else 0


def same_weights(first, second):
    return all(torch.equal(first[name], second[name]) for name in first) and bool(first)


def train_until_killed(states, shipped, delay_sec, after_first_save):
    """In a process of its own, which saves after each step and dies in whatever it is doing."""

    def die():
        while after_first_save and not any(states.glob("run/[0-9]*.safetensors")):
            time.sleep(0.001)
        time.sleep(delay_sec)
        os.kill(os.getpid(), signal.SIGKILL)

    torch.set_num_threads(1)
    trainer_module.SAVE_SEC = 0.0
    trainer = build_trainer(states, shipped)
    threading.Thread(target=die).start()
    trainer.run()


@pytest.mark.slow
@pytest.mark.parametrize("torn", [False, True])
def test_run_killed_at_a_random_moment_equals_a_straight_one(
    make_trainer, shipped_params, tmp_path, monkeypatch, capsys, torn
):
    rng = random.SystemRandom()
    monkeypatch.setattr(trainer_module, "SAVE_SEC", 0.0)
    trainer = make_trainer()
    began = time.monotonic()
    straight = trainer.run()
    delay_sec = rng.uniform(0, time.monotonic() - began)
    print(f"killed after {delay_sec} s")  # shown when the test fails
    shutil.rmtree(tmp_path / "states")

    context = multiprocessing.get_context("spawn")
    arguments = (tmp_path / "states", shipped_params.train, delay_sec, torn)
    killed = context.Process(target=train_until_killed, args=arguments)
    killed.start()
    killed.join(120)
    exit_code = killed.exitcode
    killed.kill()  # one that hangs
    assert exit_code == -signal.SIGKILL
    saved = sorted((tmp_path / "states" / "run").glob("[0-9]*.safetensors"))
    if torn:
        os.truncate(saved[-1], rng.randrange(saved.pop().stat().st_size))
    resumed = make_trainer().run()
    assert resumed_from(capsys) == (int(saved[-1].stem) if saved else 0)
    assert same_weights(straight.weights, resumed.weights)
    assert straight.best == resumed.best


@pytest.fixture
def straight(make_trainer, tmp_path):
    """Result and log of a run that nobody stopped."""
    observer = Recorder()
    result = make_trainer(observer=observer).run()
    forget(tmp_path / "states")
    return result, observer


def test_stopped_and_resumed_run_equals_a_straight_one_bit_for_bit(
    straight, make_trainer, tmp_path, capsys
):
    for stop_at in (16, 112, 160, 304):
        with pytest.raises(StoppedBySignal, match=f"SIGTERM after {stop_at} images") as stopped:
            make_trainer(observer=StopAfter(stop_at)).run()
        assert stopped.value.exit_code == 143
        observer = Recorder()
        result = make_trainer(observer=observer).run()
        assert resumed_from(capsys) == stop_at
        assert same_weights(straight[0].weights, result.weights), stop_at
        assert straight[0].best == result.best, stop_at
        assert straight[1].rows == observer.rows, stop_at  # earlier values come again
        forget(tmp_path / "states")


def test_torn_newest_checkpoint_costs_only_time(straight, make_trainer, tmp_path, capsys):
    for stop_at in (64, 176):
        with pytest.raises(StoppedBySignal):
            make_trainer(observer=StopAfter(stop_at)).run()
    newest = tmp_path / "states" / "run" / "000000000176.safetensors"
    newest.write_bytes(newest.read_bytes()[:1000])
    result = make_trainer().run()
    assert resumed_from(capsys) == 160  # saved at the evaluation
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
    assert [grid.shape for grid in observer.grids] == [(400, 16, 16, 1)] * 3
    at_best, at_end, shipped = observer.grids
    assert np.array_equal(shipped, at_best)
    assert not np.array_equal(shipped, at_end)


def test_every_statistic_is_logged_and_total_is_the_sum(straight):
    rows = [row for _, row in straight[1].rows if "loss/total" in row]
    assert set(rows[0]) == {
        *("loss/generator", "loss/discriminator", "loss/total", "loss/reconstruction"),
        *("probability/real", "probability/synthetic"),
        *("gradient_norm/generator", "gradient_norm/discriminator"),
        *("penalty/r1", "penalty/r2"),  # the first step takes them
    }
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


def test_divergence_rolls_back_at_a_lower_rate_and_at_last_fails_with_advice(make_trainer, capsys):
    message = r"4th time after \d+ images \(not finite: .+\); lower train\.lr"
    with pytest.raises(TrainingError, match=message):
        make_trainer(kimg=1.6, lr=1e18).run()
    notes = [line for line in capsys.readouterr().err.splitlines() if "back to" in line]
    assert [line.rsplit(" x ")[1] for line in notes] == ["0.5", "0.25", "0.125"]
    assert "back to the start" in notes[0]


def test_run_that_lost_what_it_had_won_returns_to_its_best(make_trainer):
    kids = iter([3.0, 1.0, 2.9, 0.9])
    trainer = make_trainer(num_evaluations=4, evaluate=lambda i, y: {"kid": next(kids)})
    assert trainer.run().best["kid"] == 0.9
    assert next(kids, None) is None
    state = trainer._state
    assert state.num_rollbacks == 1
    params, last = trainer.params, 1 - trainer.params.batch_size / 320
    lr = cosine(last, start=params.lr, end=params.lr * params.lr_final_fraction)
    assert state.networks.D_optimiser.param_groups[0]["lr"] == pytest.approx(lr / 2)
    assert state.images_seen == 320  # the clock goes on


def test_run_without_progress_ends_after_its_patience(make_trainer):
    kids = iter([0.5, 0.6, 0.7, 0.6])
    options = {"num_evaluations": 4, "patience": 0.5}
    result = make_trainer(evaluate=lambda i, y: {"kid": next(kids)}, **options).run()
    assert (result.images_seen, result.best["images_seen"]) == (240, 80)


def test_collapsed_class_is_named(make_trainer, capsys):
    values = {"kid": 0.5, "class_diversity/dark": 0.2, "class_diversity/bright": 0.9}
    make_trainer(evaluate=lambda i, y: values).run()
    assert "collapsed: dark" in capsys.readouterr().err


def test_generator_is_updated_at_every_kth_step_only(make_trainer):
    trainer = make_trainer(d_steps_per_g_step=3)
    updates = []
    for _ in range(6):
        before = [p.clone() for p in trainer._state.networks.G.parameters()]
        trainer._step()
        after = trainer._state.networks.G.parameters()
        updates.append(not all(map(torch.equal, before, after)))
    assert updates == [False, False, True, False, False, True]


def test_relativistic_generator_meets_one_discriminator(make_trainer):
    """D looks at the batch, is updated, and only then at both sides of G's loss."""
    for loss, looks in (("relativistic", 2), ("non_saturating", 1)):
        trainer, events = make_trainer(loss=loss), []
        networks = trainer._state.networks
        networks.D.register_forward_hook(lambda D, x, logits, e=events: e.append(len(logits)))
        networks.D_optimiser.register_step_post_hook(lambda *_, e=events: e.append("updated"))
        trainer._step()
        assert events == [32, "updated", *[16] * looks], loss


def test_reconstruction_pulls_anchored_images_to_their_real_ones(make_trainer):
    def last_distance(weight):
        trainer = make_trainer(kimg=1.6, lr=0.005, reconstruction_weight=weight)
        for _ in range(60):
            trainer._step()
        trainer._state.pop_means()
        trainer._step()
        return trainer._state.pop_means()["loss/reconstruction"]

    assert last_distance(10.0) < 0.7 * last_distance(0.0)


def test_average_starts_as_a_copy_that_is_not_trained(make_trainer):
    state = make_trainer()._state
    assert same_weights(state.networks.G.state_dict(), state.G_ema.state_dict())
    averages = list(state.G_ema.parameters())
    assert not {a.data_ptr() for a in averages} & {
        p.data_ptr() for p in state.networks.G.parameters()
    }
    assert not any(average.requires_grad for average in averages)
    assert not state.G_ema.training


def test_initial_weights_are_gone_on_from(make_trainer, straight, tmp_path):
    initial = dict(straight[0].weights)
    for name in ("marks.marks", "marks.rows"):  # of another dataset
        initial[name] = torch.full_like(initial[name], 99)
    trainer = make_trainer(initial=initial)
    started = trainer._state.networks.G.state_dict()
    assert same_weights(started, trainer._state.G_ema.state_dict())
    assert (started.pop("marks.marks") != 99).all()
    assert (started.pop("marks.rows") != 99).all()
    assert same_weights({name: initial[name] for name in started}, started)


def test_every_family_resumes_bit_for_bit(make_trainer, tmp_path, capsys):
    for family in ("translator", "dcgan", "mlp", "vae"):
        options = {"family": family, "r1_gamma": 0.0, "r2_gamma": 0.0, "loss": "non_saturating"}
        straight = make_trainer(**options).run()
        forget(tmp_path / "states")
        with pytest.raises(StoppedBySignal):
            make_trainer(observer=StopAfter(112), **options).run()
        resumed = make_trainer(**options).run()
        assert resumed_from(capsys) == 112
        assert same_weights(straight.weights, resumed.weights), family
        forget(tmp_path / "states")


def test_every_loss_trains(make_trainer, tmp_path):
    wgan = {"r1_gamma": 0.0, "r2_gamma": 0.0, "gradient_penalty": 10.0}
    for family in ("r3", "mlp"):
        for loss in ("non_saturating", "minimax", "hinge", "wgan_gp"):
            observer, options = Recorder(), wgan if loss == "wgan_gp" else {}
            trainer = make_trainer(
                kimg=0.064, family=family, loss=loss, observer=observer, **options
            )
            weights = trainer.run().weights
            assert all(weight.isfinite().all() for weight in weights.values()), (family, loss)
            first = next(row for _, row in observer.rows if "loss/total" in row)
            assert ("penalty/gradient" in first) == (loss == "wgan_gp")
            forget(tmp_path / "states")


def test_run_resumed_at_its_end_shows_its_samples_again(make_trainer, capsys):
    first, again = Recorder(), Recorder()
    make_trainer(observer=first).run()
    make_trainer(observer=again).run()  # its checkpoints are still there
    assert resumed_from(capsys) == 320
    assert len(again.grids) == 1
    assert np.array_equal(again.grids[0], first.grids[-1])


def test_weights_that_break_between_two_log_lines_are_never_measured(make_trainer, monkeypatch):
    monkeypatch.setattr("ganaug.gan.trainer.LOG_LINES", 1)  # so that only evaluations look
    measured = []
    trainer = make_trainer(lr=1e18, evaluate=lambda i, y: measured.append(1) or {"kid": 0.1})
    with pytest.raises(TrainingError, match="diverged before its first evaluation"):
        trainer.run()
    assert measured == []
