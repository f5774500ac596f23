import dataclasses

import pytest
import torch

from ganaug.gan.marks import Marks


@pytest.fixture(autouse=True)
def _one_component_is_explained(monkeypatch):
    monkeypatch.setattr("ganaug.gan.marks.EXPLAINED", 1)


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def cells(architecture, *, scratched):
    """64 smooth images of one class that differ in brightness, and their labels; some scratched."""
    side = architecture.resolution
    images = torch.linspace(-0.5, 0.5, 64)[:, None, None, None].expand(-1, 1, side, side).clone()
    images += 0.01 * normal(images.shape)
    for number in scratched:
        images[number, 0, 3, 2:9] -= 0.4
    return images, torch.zeros(64, dtype=torch.int64)


def test_mark_is_what_sets_an_image_apart(architecture):
    images, label = cells(architecture, scratched=[5])
    marks = Marks(architecture)
    marks.fit(images, label, torch.arange(len(images)), flips=())
    found = marks.marks[0].float().abs().sum(dim=1)
    strongest = found.argmax()
    assert strongest * 64 // marks.marks.shape[1] == 5
    assert marks.rows[0, strongest] == 5
    where = marks.marks[0, strongest].view(images.shape[2:]).float() / 127
    assert torch.allclose(where[3, 2:9], torch.tensor(-0.4), atol=0.05)
    assert where.abs().sum() < 1.3 * 7 * 0.4


def test_marks_are_flipped_as_training_flips_and_empty_classes_have_none(architecture):
    images, label = cells(architecture, scratched=range(0, 64, 2))
    marks = Marks(architecture)
    marks.fit(images, label, torch.arange(len(images)), flips=("vflip",))
    z = normal(400)
    drawn = marks.draw(z, torch.zeros(400, dtype=torch.int64)).clamp(max=0).abs()
    by_row, by_column = drawn.sum(dim=(0, 1, 3)), drawn.sum(dim=(0, 1, 2))
    last = architecture.resolution - 1
    assert by_row[[3, last - 3]].sum() > 0.8 * by_row.sum()
    assert 0.5 < by_row[3] / by_row[last - 3] < 2
    assert by_column[2:9].sum() > 0.8 * by_column.sum()
    ones = torch.ones(400, dtype=torch.int64)
    assert not marks.draw(z, ones).any()
    assert (marks.parents(z, ones) == -1).all()


@pytest.mark.parametrize("flips", [(), ("hflip", "vflip")])
def test_parent_is_the_image_of_its_class_that_shows_the_mark(architecture, flips):
    """Each third image has a scratch of a length of its own; two classes by turns."""
    side, label = architecture.resolution, torch.arange(64) % 2
    images = 0.001 * normal(64, 1, side, side)
    scratches = {}
    for number in range(0, 64, 3):
        place = torch.zeros(1, side, side, dtype=torch.bool)
        place.view(-1)[17 + 3 * number : 20 + 3 * number] = True
        images[number][place] += 0.8
        scratches[1000 + number] = place
    marks = Marks(architecture)
    marks.fit(images, label, 1000 + torch.arange(64), flips=flips)
    z, asked = normal(300, seed=1), torch.arange(300) % 2
    drawn, parents = marks.draw(z, asked), marks.parents(z, asked)
    assert ((parents == -1) == ~drawn.flatten(1).any(dim=1)).all()
    found = parents >= 0
    assert found.any()
    assert (parents[found] % 2 == asked[found]).all()
    shown = 0
    for mark, parent in zip(drawn[found], parents[found].tolist(), strict=True):
        if parent not in scratches or mark.max() < 0.3:
            continue  # noise that passed the threshold
        ways = [mark, mark.flip(1), mark.flip(2), mark.flip(1, 2)]
        assert any((way[scratches[parent]] > 0.3).all() for way in ways[: 4 if flips else 1])
        shown += 1
    assert shown > 20


def test_draw_is_even_over_marks(architecture):
    marks = Marks(architecture)
    numbers = torch.arange(marks.marks.shape[1]).remainder(100).to(torch.int8)
    marks.marks.copy_(numbers[None, :, None].expand_as(marks.marks))
    for spread in (0.05, 1.0, 3.0):
        drawn = marks.draw(normal(8000) * spread, torch.zeros(8000, dtype=torch.int64))
        counts = torch.bincount((drawn[:, 0, 8, 8] * 127).round().long(), minlength=100)
        assert len(counts) == 100, spread
        assert counts.min() > 8000 / 100 / 3, spread


def test_few_marks_of_large_images(architecture):
    large = dataclasses.replace(architecture, resolution=256, channels=3, num_classes=40)
    assert 2**24 < Marks(large).marks.numel() <= 2**25
