"""A zoo of image files with everything that goes wrong: each ends where the rule says."""

import os
import struct
import zlib

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from ganaug.errors import DatasetError, SourceError
from ganaug.images import decode_png, encode_png
from ganaug.preparing.prepare import prepare
from ganaug.sources.registry import load_source
from tests.preparing.made_up import encoded
from tests.preparing.made_up import picture as large
from tests.refusal import refuses

SIDE = 32
# What each file of the zoo is rejected as; what is not named here is accepted.
REJECTED = {
    "cat/animated.gif": "animated",
    "cat/bomb.png": "too_large",
    "cat/conflict.png": "label_conflict",
    "cat/cut.jpg": "unreadable",
    "cat/empty.png": "unreadable",
    "cat/flat.png": "constant",
    "cat/float.tif": "value_range",
    "cat/huge.png": "too_large",
    "cat/lost-link.png": "unreadable",
    "cat/made.png": "synthetic",
    "cat/pages.tif": "animated",
    "cat/pipe.png": "unreadable",
    "cat/strip.png": "elongated",
    "cat/text.png": "unreadable",
    "cat/twice.png": "duplicate",
    "dog/conflict.png": "label_conflict",
}
ACCEPTED = ["16-bit.png", "alpha.png", "cmyk.jpg", "grey-alpha.png", "palette.gif", "rotated.jpg"]


def picture(seed):
    return large(seed, side=SIDE)


def claimed(width, height):
    """A PNG of a few bytes whose header claims a size."""

    def chunk(kind, data):
        whole = kind + data
        return struct.pack(">I", len(data)) + whole + struct.pack(">I", zlib.crc32(whole))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    body = chunk(b"IDAT", zlib.compress(b"\0")) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + body


@pytest.fixture
def zoo(tmp_path):
    """Class folders cat and dog: 40 sound images of each, and one file of every problem."""
    root = tmp_path / "zoo"
    for number, name in enumerate(["cat", "dog"]):
        (root / name).mkdir(parents=True)
        for i in range(40):
            picture(100 * number + i).save(root / name / f"{i:02d}.png")
    _add_rejected(root / "cat", root / "dog")
    _add_converted(root / "cat")
    (root / "cat" / ".hidden.png").write_text("left alone")
    (root / "cat" / "loop").symlink_to(root / "cat")
    return root


def _add_rejected(cat, dog):
    frames = [picture(i) for i in (900, 901)]
    for name in ("animated.gif", "pages.tif"):
        frames[0].save(cat / name, save_all=True, append_images=frames[1:])
    (cat / "bomb.png").write_bytes(claimed(60_000, 60_000))
    (cat / "huge.png").write_bytes(claimed(9_000, 9_000))
    for folder in (cat, dog):
        picture(902).save(folder / "conflict.png")
    (cat / "cut.jpg").write_bytes(encoded(picture(903), "JPEG")[:-150])
    (cat / "empty.png").write_bytes(b"")
    Image.new("L", (SIDE, SIDE), 7).save(cat / "flat.png")
    Image.fromarray(np.asarray(picture(904), np.float32)).save(cat / "float.tif")  # 0..255
    (cat / "lost-link.png").symlink_to(cat / "nowhere.png")
    (cat / "made.png").write_bytes(encode_png(np.asarray(picture(907))[:, :, None], synthetic=True))
    os.mkfifo(cat / "pipe.png")
    picture(905).resize((300, 10)).save(cat / "strip.png")
    (cat / "text.png").write_text("no image in spite of its name")
    picture(0).save(cat / "twice.png", compress_level=1)  # other bytes, the pixels of 00.png


def _add_converted(cat):
    none, half = (Image.new("L", (SIDE, SIDE), level) for level in (0, 128))
    (cat / "16-bit.png").write_bytes(encoded(np.asarray(picture(906)).astype(np.uint16) * 257))
    Image.merge("LA", [picture(907), half]).save(cat / "grey-alpha.png")
    Image.merge("RGBA", [*[picture(908)] * 3, half]).save(cat / "alpha.png")
    Image.merge("CMYK", [none] * 3 + [picture(909)]).save(cat / "cmyk.jpg", quality=95)
    picture(910).convert("P").save(cat / "palette.gif")
    exif = Image.Exif()
    exif[0x0112] = 6
    picture(911).save(cat / "rotated.jpg", exif=exif, quality=95)
    picture(912).save(os.fsencode(cat) + b"/caf\xe9.png")  # a name that is no UTF-8


@pytest.fixture
def params(shipped_params):
    def params(path, **changes):
        base = shipped_params.prepare
        files = base.files.model_copy(update={"path": str(path)})
        return base.model_copy(
            update={"source": "folder", "resolution": 32, "files": files} | changes
        )

    return params


def test_each_file_ends_where_the_rule_says_and_shows_what_it_should(zoo, params, tmp_path):
    out = tmp_path / "out"
    result, _ = prepare(params(zoo, max_reject_fraction=0.5), seed=0, out=out)
    rejected = pd.read_parquet(out / "rejected.parquet")
    assert dict(zip(rejected["file"], rejected["reason"], strict=True)) == REJECTED
    assert rejected["detail"].str.len().min() > 0
    assert not rejected["detail"].str.contains("\n").any()
    rows = pd.concat(pd.read_parquet(path) for path in out.glob("*-*.parquet"))
    listed = [image.name for image in load_source(params(zoo)).images]
    assert len(listed) == len(rows) + len(rejected) == len(set(listed))
    assert {f"cat/{name}" for name in (*ACCEPTED, "caf\ufffd.png")} < set(listed) - set(REJECTED)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "zoo"]
    small = [note for note in result.notes if "below 50" in note]
    assert [note.split()[1] for note in small] == ["'cat'", "'dog'"]
    images = np.stack([decode_png(image["bytes"])[:, :, 0] for image in rows["image"]])
    for seed, make, tolerance in (
        (906, lambda x: x, 0),  # 16 bits scaled, not clipped
        (907, lambda x: x * 128 / 255, 1),  # half transparent over black
        (908, lambda x: x * 128 / 255, 1),
        (909, lambda x: 255 - x, 6),  # only the black ink of CMYK
        (910, lambda x: x, 0),  # a palette's colours
        (911, lambda x: np.rot90(x, -1), 6),  # as the camera was held
    ):
        expected = make(np.asarray(picture(seed)).astype(float))
        assert np.abs(images - expected).max(axis=(1, 2)).min() <= tolerance, seed


def test_what_the_stage_can_not_go_on_with_is_refused(zoo, params, tmp_path):
    options = {"seed": 0, "out": tmp_path / "out"}
    match = "16 of 103 images are unusable, more than"  # by default
    refuses(DatasetError, match, prepare, params(zoo), **options)
    assert [path.name for path in tmp_path.iterdir()] == ["zoo"]
    (zoo / "Cat ").mkdir()
    match = "'Cat ' and 'cat' differ by case or space only"
    refuses(SourceError, match, prepare, params(zoo), **options)
    (zoo / "Cat ").rmdir()
    for path in sorted((zoo / "dog").glob("[0-3]*.png"))[7:]:
        path.unlink()
    match = "class 'dog' has 7 distinct usable images; at least 8"
    refuses(DatasetError, match, prepare, params(zoo, max_reject_fraction=0.5), **options)
