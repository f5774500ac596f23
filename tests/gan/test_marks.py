import dataclasses

import pytest
import torch

from ganaug.gan.marks import Marks


def cells(architecture, *, scratched):
    """64 smooth images of one class that differ in brightness, and their labels; some scratched."""
    side = architecture.resolution
    images = torch.linspace(-0.5, 0.5, 64)[:, None, None, None].expand(-1, 1, side, side).clone()
    images += 0.01 * torch.randn(images.shape, generator=torch.Generator().manual_seed(0))
    for number in scratched:
        images[number, 0, 3, 2:9] -= 0.4
    return images, torch.zeros(64, dtype=torch.int64)


def test_mark_is_what_sets_an_image_apart(architecture, monkeypatch):
    monkeypatch.setattr("ganaug.gan.marks.EXPLAINED", 1)
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


def test_marks_are_flipped_as_training_flips_and_empty_classes_have_none(architecture, monkeypatch):
    monkeypatch.setattr("ganaug.gan.marks.EXPLAINED", 1)
    images, label = cells(architecture, scratched=range(0, 64, 2))
    marks = Marks(architecture)
    marks.fit(images, label, torch.arange(len(images)), flips=("vflip",))
    z = torch.randn(400, generator=torch.Generator().manual_seed(0))
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
def test_parent_is_the_image_of_its_class_that_shows_the_mark(architecture, monkeypatch, flips):
    """Each third image has a scratch of a length of its own; two classes by turns."""
    monkeypatch.setattr("ganaug.gan.marks.EXPLAINED", 1)
    side, label = architecture.resolution, torch.arange(64) % 2
    images = torch.zeros(64, 1, side, side)
    images += 0.001 * torch.randn(images.shape, generator=torch.Generator().manual_seed(0))
    scratches = {}
    for number in range(0, 64, 3):
        place = torch.zeros(1, side, side, dtype=torch.bool)
        place.view(-1)[17 + 3 * number : 20 + 3 * number] = True
        images[number][place] += 0.8
        scratches[1000 + number] = place
    marks = Marks(architecture)
    marks.fit(images, label, 1000 + torch.arange(64), flips=flips)
    z, asked = torch.randn(300, generator=torch.Generator().manual_seed(1)), torch.arange(300) % 2
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


@pytest.mark.parametrize("spread", [0.05, 1.0, 3.0])
def test_draw_is_even_over_marks(architecture, spread):
    marks = Marks(architecture)
    number = marks.marks.shape[1]
    numbers = torch.arange(number).remainder(100).to(torch.int8)
    marks.marks.copy_(numbers[None, :, None].expand_as(marks.marks))
    z = torch.randn(8000, generator=torch.Generator().manual_seed(0)) * spread
    drawn = (marks.draw(z, torch.zeros(8000, dtype=torch.int64))[:, 0] * 127).round().long()
    counts = torch.bincount(drawn[:, 8, 8], minlength=100)
    assert len(counts) == 100
    assert counts.min() > 8000 / 100 / 3


def test_few_marks_of_large_images(architecture):
    large = dataclasses.replace(architecture, resolution=256, channels=3, num_classes=40)
    assert 2**24 < Marks(large).marks.numel() <= 2**25
