from functools import cache

import numpy as np
import torch
from torch import nn

from ganaug.downstream.batches import Batch, one_hot
from ganaug.downstream.classifier import predict, train_classifier
from ganaug.downstream.efficientnet import LR, SMALLEST, FineTuned


def images(number=4, *, side=16, channels=1, seed=0):
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (number, side, side, channels), dtype=np.uint8)


def train(*, seed=0):
    batch = Batch(images(), one_hot(np.array([0, 1, 2, 0]), 3), np.ones(4, np.float32))
    return train_classifier([batch] * 2, network=FineTuned, num_steps=2, lr=LR, seed=seed)


@cache
def trained():
    torch.manual_seed(0)
    return train()


@cache
def fresh():
    return FineTuned((16, 16, 1), 3).eval()


def norms(model):
    return [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]


def test_training_keeps_imagenets_statistics_and_changes_the_weights():
    after, before = norms(trained()), norms(fresh())
    assert len(after) > 40
    for one, other in zip(after, before, strict=True):
        assert torch.equal(one.running_mean, other.running_mean)
        assert torch.equal(one.running_var, other.running_var)
    others = dict(fresh().named_parameters())
    changed = [not torch.equal(own, others[name]) for name, own in trained().named_parameters()]
    assert np.mean(changed) > 0.95  # all but ImageNet's own last layer


def test_train_leaves_batch_normalisation_alone():
    model = FineTuned((16, 16, 1), 3).train()
    assert model.training
    assert model.network.training
    assert not any(module.training for module in norms(model))


def test_it_says_nothing_before_it_is_trained_and_something_after():
    np.testing.assert_allclose(predict(fresh(), images()), 1 / 3)
    assert np.abs(predict(trained(), images()) - 1 / 3).max() > 0.01


def test_any_size_and_colour_gives_probabilities_of_the_classes():
    for side, channels in ((16, 1), (SMALLEST, 3), (96, 1)):
        model = FineTuned((side, side, channels), 2).eval()
        assert predict(model, images(2, side=side, channels=channels)).shape == (2, 2)
    assert predict(fresh(), images(0)).shape == (0, 3)


def test_a_prediction_depends_on_its_image_alone():
    alone = np.concatenate([predict(trained(), images()[i : i + 1]) for i in range(4)])
    np.testing.assert_allclose(predict(trained(), images()), alone, atol=1e-5)


def test_small_images_are_enlarged_and_grey_is_three_equal_colours():
    large = images(side=SMALLEST)
    np.testing.assert_allclose(
        predict(trained(), large), predict(trained(), large.repeat(3, axis=3)), atol=1e-6
    )
    sizes = []
    hook = trained().network._conv_stem.register_forward_pre_hook(
        lambda _, inputs: sizes.append(tuple(inputs[0].shape))
    )
    predict(trained(), images())
    hook.remove()
    assert sizes == [(4, 3, SMALLEST, SMALLEST)]


def test_the_seed_alone_decides():
    torch.manual_seed(1)  # another state than that of the first training
    assert predict(train(), images()).tobytes() == predict(trained(), images()).tobytes()
