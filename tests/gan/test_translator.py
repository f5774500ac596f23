from dataclasses import replace

import numpy as np
import pytest
import torch

from ganaug.gan.architecture import build_generator
from ganaug.gan.backgrounds import Backgrounds
from ganaug.gan.batches import RealBatches
from ganaug.gan.patches import WhitenedPatches
from ganaug.gan.step import Networks
from ganaug.gan.translation import MASK_WEIGHT, TranslationStep

SIDE = 16
CPU = torch.device("cpu")


def reals(counts, *, flips=()):
    """Class c is about as bright as c says; no two images are equal, nor any to its flips."""
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(len(counts)), counts)
    images = rng.integers(0, 20, (len(labels), SIDE, SIDE, 1)) + 60 * labels[:, None, None, None]
    options = {"batch_size": 8, "class_exponent": 0.5, "seed": 0, "device": CPU}
    return RealBatches(images.astype(np.uint8), labels, flips=flips, **options)


def normal(*shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def fitted(architecture):
    """Backgrounds of classes with so many images."""

    def fit(*counts, flips=()):
        backgrounds = Backgrounds(replace(architecture, num_classes=len(counts)))
        own = reals(counts, flips=flips)
        patches = WhitenedPatches(channels=1, patch=2)
        patches.fit(own.examples(99)[0])
        backgrounds.fit(own, patches)
        return backgrounds, own

    return fit


@pytest.fixture
def translator(architecture):
    G = build_generator(replace(architecture, family="translator"))
    G.prepare_from(reals((6, 6)), is_trained=False)
    return G


@pytest.mark.parametrize("flips", [(), ("hflip",), ("hflip", "vflip")])
def test_backgrounds_are_training_images_of_other_classes_in_allowed_flips(fitted, flips):
    backgrounds, own = fitted(5, 7, 3, flips=flips)
    images, labels, _ = own.examples(99)
    label = torch.arange(300) % 3
    drawn, classes = backgrounds.draw(normal(300), label)
    parents = backgrounds.parents(normal(300), label)
    assert (classes != label).all()
    assert (labels[parents] == classes).all()
    axes = {"hflip": 3, "vflip": 2}
    ways = [images[parents]]
    for name in flips:
        ways += [way.flip(axes[name]) for way in ways]
    same = torch.stack([torch.isclose(drawn, way, atol=1e-6).flatten(1).all(dim=1) for way in ways])
    assert same.any(dim=0).all()
    assert same.any(dim=1).all()  # each of the allowed flips comes
    for c in range(3):
        assert set(parents[label == c].tolist()) == set(torch.nonzero(labels != c)[:, 0].tolist())


def test_images_of_an_earlier_training_are_forgotten(fitted):
    backgrounds, _ = fitted(9, 9, 9)
    patches = WhitenedPatches(channels=1, patch=2)
    backgrounds.fit(reals((3, 3)), patches)  # the last class is missing
    assert (backgrounds.rows >= 0).sum() == 6
    assert not backgrounds.images[6:].any()
    assert set(backgrounds.possible_parents().flatten().tolist()) <= {-1, *range(6)}
    assert backgrounds.num_chosen.tolist() == [3, 3, 1]


def test_the_nearest_images_come_first(fitted):
    backgrounds, _ = fitted(4, 4, 4)
    labels = backgrounds.labels[backgrounds.chosen[0, :8]]
    assert labels.tolist() == [1] * 4 + [2] * 4  # class 1 is nearer in brightness to class 0
    assert backgrounds.num_chosen.tolist() == [8] * 3
    assert (backgrounds.possible_parents() >= 0).sum(dim=1).tolist() == [8] * 3


def test_a_single_image_of_the_other_class_is_enough(fitted):
    backgrounds, _ = fitted(9, 1)
    drawn, _ = backgrounds.draw(normal(50), torch.zeros(50, dtype=torch.int64))
    assert (drawn == drawn[0]).all()
    assert set(backgrounds.parents(normal(50), torch.zeros(50, dtype=torch.int64)).tolist()) == {9}


def test_where_the_mask_is_zero_the_image_stays_real_bit_for_bit(translator):
    z, label = normal(12, translator.latent_dim), torch.arange(12) % 2
    real, _ = translator.background(z, label)
    with torch.no_grad():
        translator.to_mask.bias.fill_(-9.0)
        made, mask = translator.translate(real, z, label)
        assert not mask.any()
        assert torch.equal(made, real)
        assert torch.equal(translator(z, label), real)
        translator.to_mask.bias.fill_(0.0)
        translator.to_mask.weight.mul_(30)  # some patches on, some off
        made, mask = translator.translate(real, z, label)
    kept = (mask == 0).expand_as(real)
    assert 0.1 < kept.float().mean() < 0.9
    assert torch.equal(made[kept], real[kept])
    assert not torch.isclose(made[~kept], real[~kept]).all()
    assert ((mask >= 0) & (mask <= 1)).all()


def test_a_mask_that_is_off_can_come_back(translator):
    with torch.no_grad():
        translator.to_mask.bias.fill_(-4.0)
    z, label = normal(4, translator.latent_dim), torch.arange(4) % 2
    made, mask = translator.translate(translator.background(z, label)[0], z, label)
    assert not mask.any()
    made.square().sum().backward()
    assert translator.to_mask.bias.grad.abs() > 0


def test_parents_are_the_background_and_the_image_of_the_mark(translator):
    z, label = normal(40, translator.latent_dim), torch.arange(40) % 2
    parents = translator.parents(z, label)
    assert ((parents[:, 0] < 6) == (label == 1)).all()  # rows 0 to 5 are of class 0
    marked = parents[:, 1] >= 0
    assert ((parents[marked, 1] < 6) == (label[marked] == 0)).all()
    known = translator.possible_parents()
    assert all(
        set(own.tolist()) <= set(known[c].tolist()) for c, own in zip(label, parents, strict=True)
    )


def test_d_is_told_the_code_of_the_background(make_trainer):
    trainer = make_trainer(kimg=0.016, family="translator")
    state = trainer._state
    label = torch.arange(8) // 4
    z = normal(8, state.networks.G.latent_dim)
    step = TranslationStep(
        Networks(**vars(state.networks)),
        trainer._objective,
        trainer.compute,
        torch.Generator(),
        penalty_scale=0,
        updates_generator=True,
        reconstruction_weight=1.0,
    )
    background, own = state.networks.G.background(z, label)
    synthetic = step.make(background, background, label, z)
    assert torch.equal(synthetic.code, state.networks.anchors.code(background, own))
    assert torch.equal(synthetic.images, state.networks.G(z, label))
    assert synthetic.terms["loss/mask"][0] == MASK_WEIGHT
