"""Broken, hostile and odd files: each is accepted, rejected by name, or refused in a line."""

import io
import os
import random
import re
import shutil
import struct
import sys
import tarfile
import threading
import time
import warnings
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache, partial
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from benchmarks.storm import world
from benchmarks.storm.ledger import Fault
from benchmarks.storm.world import Outcome, attempt, make_world
from ganaug.config import change_params
from ganaug.fileio import read_json
from ganaug.sources.files import image_suffixes

MODES = ("L", "RGB", "RGBA", "P", "1", "I;16", "F", "CMYK", "LA")
PACKED: tuple[Any, ...] = ("w:", "w:gz", "w:bz2", "w:xz")
SOUNDS = ("wav", "flac", "ogg", "mp3")
ODD_NAMES = (
    "line\nbreak.png", 'quote".png', "it's.png", "<img src=x onerror=alert(1)>.png", "\ttab.png",
    "ü" * 125 + ".png", "n" * 251 + ".png", " space .png", "-rf.png", "%s%n.png", "a\\b.png",
    "no suffix", "two.png.exe", "photo.PNG", "\u202egnp.png", "$(reboot).png", "a;b&c|d.png",
    "photo.jpg", "café.png", "\udcff\udcfe.png", "{{7*7}}.png", "CON.png", "~.png", "#1.png",
)  # fmt: skip
MOST_MIB, MOST_SEC = 1024, 90
WRITES = {"os.remove", "os.rename", "os.mkdir", "os.rmdir", "os.symlink", "os.link", "os.truncate"}
BELOW = {"os.remove", "os.mkdir", "os.rmdir"}  # whose last argument may be a folder
OWN = ("/data/prepared", "/data/.prepared", "/results/prepare", "/tmp", "/dev/null")


@cache
def samples() -> list[tuple[str, bytes]]:
    """Suffix and bytes of a picture, in every format that Pillow writes and every mode it takes."""
    rng, found = np.random.default_rng(0), []
    for suffix, mode in product(sorted(image_suffixes()), MODES):
        kind = Image.registered_extensions().get(suffix)
        if kind in Image.SAVE:
            pixels = Image.fromarray(rng.integers(0, 256, (40, 40, 3), dtype=np.uint8))
            with suppress(Exception), io.BytesIO() as file:
                pixels.convert("L" if mode in ("I;16", "F") else mode).convert(mode).save(
                    file, kind
                )
                found.append((suffix, file.getvalue()))
    return found


@cache
def clips() -> list[tuple[str, bytes]]:
    """Suffix and bytes of a short sound in every format."""
    import soundfile

    noise = np.random.default_rng(0).normal(0, 0.1, 4000).astype(np.float32)
    found = []
    for kind in SOUNDS:
        file = io.BytesIO()
        soundfile.write(file, noise, 8000, format=kind)
        found.append((f".{kind}", file.getvalue()))
    return found


def mutate(rng: random.Random, content: bytes, *, other: bytes = b"") -> bytes:
    """Damage bytes in one of the ways in which files break, or in which somebody breaks them."""
    size = max(1, len(content))
    place, length = rng.randrange(size), rng.randint(1, 64)
    before, after = content[:place], content[place:]
    at = rng.randrange(min(size, 200))  # of a header with an absurd number
    absurd = rng.choice((b"\xff\xff\xff\x7f", b"\x7f\xff\xff\xff", b"\xff" * 4))
    junk = (b"", bytes(size), rng.randbytes(size), b"<html></html>", content * 2)
    ways = (
        *(_turn_bits(rng, content), before, before + rng.randbytes(length) + after),
        *(before + after[length:], before + bytes(length) + after[length:], content),
        *(content[:at] + absurd + content[at + 4 :], _absurd_png(rng, content)),
        *(before + other[place:], rng.choice(junk), before + after[:999] * rng.randint(1, 9)),
    )
    return rng.choice(ways)


def _turn_bits(rng: random.Random, content: bytes) -> bytes:
    turned = bytearray(content or b"\0")
    for _ in range(rng.choice((1, 1, 2, 8, 64))):
        turned[rng.randrange(len(turned))] ^= 1 << rng.randrange(8)
    return bytes(turned)


def _absurd_png(rng: random.Random, content: bytes) -> bytes:
    """The picture with another size in the header of a PNG, whose checksum is right."""
    if not content.startswith(b"\x89PNG"):
        return content[: len(content) // 2] + b"\xff" * 16 + content[len(content) // 2 :]
    sizes = (0, 1, 8000, 60000, 2**31 - 1, 2**32 - 1)
    chunk = b"IHDR" + struct.pack(">II", rng.choice(sizes), rng.choice(sizes)) + content[24:29]
    return content[:12] + chunk + struct.pack(">I", zlib.crc32(chunk)) + content[33:]


def guard(folder: Path) -> None:
    """In a child: name every file outside of its own folders that Python is asked to write."""
    allowed = tuple(str(folder) + own for own in OWN) + OWN[-1:]

    def watch(event: str, given: tuple[Any, ...]) -> None:
        writes = event in WRITES or (
            event == "open" and (set(str(given[1])) & set("wax+") or (given[2] or 0) & 3)
        )
        if writes and isinstance(given[0], str | bytes | Path):
            inside = event in BELOW and given[-1] >= 0  # relative to a folder that is open
            above = Path(f"/proc/self/fd/{given[-1]}").resolve() if inside else folder
            path = above / os.fsdecode(given[0])
            if not str(path).startswith(allowed) and not (event == "os.mkdir" and path.is_dir()):
                print(f"OUTSIDE {event} {str(path)!r}", file=sys.stderr)

    sys.addaudithook(watch)


def judge(folder: Path, outcome: Outcome, *, num_files: int | None, may_refuse: bool) -> list[str]:
    """What broke the promise, in one line each; `num_files` must be accounted for, if given."""
    problems = re.findall(r"Traceback|\w+Warning:|OUTSIDE .*", outcome.errors)[:3]
    if outcome.peak_mib > MOST_MIB or outcome.seconds > MOST_SEC:
        problems.append(f"{outcome.peak_mib:.0f} MiB, {outcome.seconds:.0f} s")
    if outcome.exit_code == 0:
        problems += _unaccounted(folder / "data/prepared", num_files)
    elif not (may_refuse and outcome.refused_in_one_line()):
        problems.append(outcome.describe())
    left = {path.name for path in (folder / "data").iterdir()} - {"raw", "prepared", "review.csv"}
    left |= {path.name for path in (folder / "tmp").iterdir()} - {"says"}
    return problems + [f"left over: {', '.join(sorted(left))}"] * bool(left)


def _unaccounted(prepared: Path, num_files: int | None) -> Iterator[str]:
    numbers = read_json(prepared / "prepared.json")["num_images"]
    if numbers["read"] != sum(numbers[fate] for fate in ("accepted", "rejected", "left_out")):
        yield f"in is not out: {numbers}"
    if num_files is not None and numbers["read"] != num_files:
        yield f"{num_files} files, {numbers['read']} read"
    rejected = pd.read_parquet(prepared / "rejected.parquet")
    if len(rejected) != numbers["rejected"]:
        yield f"{len(rejected)} rejections named, {numbers['rejected']} counted"
    for file, reason, detail in rejected.astype(str).to_numpy().tolist():
        if not re.fullmatch("[a-z_]+", reason) or not detail:
            yield f"{file!r} rejected as {reason!r}: {detail!r}"


def _prepare(folder: Path, *, num_files: int | None = None, may_refuse: bool = False) -> list[str]:
    outcome = attempt("prepare", folder, before=partial(guard, folder))
    return judge(folder, outcome, num_files=num_files, may_refuse=may_refuse)


def _fill(folder: Path) -> Path:
    """The class folders with good images only, and nothing of the last try."""
    photos = folder / "data/raw/photos"
    for place in (photos, folder / "data/.prepared.read"):
        shutil.rmtree(place, ignore_errors=True)
    world.draw_photos(photos)
    return photos


def images(folder: Path, rng: random.Random, number: int) -> list[str]:
    """Damaged images of every format among good ones; some bear the suffix of another format."""
    photos = _fill(folder)
    for index in range(number):
        (suffix, content), (wrong, other) = rng.choice(samples()), rng.choice(samples())
        name = f"{index}{suffix if rng.random() < 0.8 else wrong}"
        damaged = mutate(rng, content, other=other)
        (photos / rng.choice(("clear", "cracked")) / f"m{name}").write_bytes(damaged)
    return _prepare(folder, num_files=48 + number)


def names(folder: Path, rng: random.Random, number: int) -> list[str]:
    """Good images and damaged ones under names that break tables, pages and shells."""
    photos, made = _fill(folder), set[str]()
    for name in rng.sample(ODD_NAMES, min(number, len(ODD_NAMES))):
        _, content = rng.choice(samples())
        path = photos / rng.choice(("clear", "cracked")) / name
        path.write_bytes(mutate(rng, content) if rng.random() < 0.5 else content)
        made.add(name)
    with (photos / "clear/huge.png").open("wb") as file:  # and one that would fill the memory
        file.truncate(3 * 2**30)
    return _prepare(folder, num_files=49 + len(made))


def moving(folder: Path, rng: random.Random, number: int) -> list[str]:
    """Files that are cut, replaced, emptied or removed while the stage reads them."""
    photos, seed = _fill(folder), rng.random()
    for index in range(number):
        (photos / "clear" / f"moving-{index}.png").write_bytes(samples()[0][1] + bytes([index]))

    def disturb() -> None:
        chance = random.Random(seed)
        for _ in range(2000):
            path = photos / "clear" / f"moving-{chance.randrange(number)}.png"
            with suppress(OSError):
                way = chance.randrange(4)
                path.unlink() if way == 0 else path.write_bytes(mutate(chance, samples()[0][1]))
            time.sleep(0.0005)

    child = world.start(world.stage("prepare"), folder, before=int)
    thread = threading.Thread(target=disturb)
    thread.start()
    outcome = world.finish(child, folder)
    thread.join()
    return judge(folder, outcome, num_files=None, may_refuse=False)


def sounds(folder: Path, rng: random.Random, number: int) -> list[str]:
    """Damaged sounds among good ones."""
    root = folder / "data/raw/sounds"
    for place in (root, folder / "data/.prepared.read"):
        shutil.rmtree(place, ignore_errors=True)
    noise = np.random.default_rng(1)
    for name in ("dog", "cat"):
        (root / name).mkdir(parents=True)
        for index in range(24):
            _write_clip(root / name / f"{index}.wav", noise.normal(0, 0.1, 4000))
    for index in range(number):
        (suffix, content), (_, other) = rng.choice(clips()), rng.choice(clips())
        (root / "dog" / f"m{index}{suffix}").write_bytes(mutate(rng, content, other=other))
    return _prepare(folder, num_files=48 + number)


def _write_clip(path: Path, samples_: Any) -> None:
    import soundfile

    soundfile.write(path, samples_.astype(np.float32), 8000)


def _members(photos: Path) -> list[tuple[str, bytes]]:
    return [(f"{p.parent.name}/{p.name}", p.read_bytes()) for p in sorted(photos.glob("*/*.png"))]


def zips(folder: Path, rng: random.Random, _: int) -> list[str]:
    """A damaged zip, or one with hostile members: leading out, links, twice, encrypted, bombs."""
    path, file = folder / "data/raw/photos.zip", io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as whole:
        for name, content in _members(_fill(folder)) + _hostile(rng):
            info = zipfile.ZipInfo(name)
            if content == b"link":
                info.external_attr = 0o120777 << 16
            with warnings.catch_warnings(action="ignore"):  # of a name that is there twice
                whole.writestr(info, content, zipfile.ZIP_DEFLATED)
    content = file.getvalue()
    if rng.random() < 0.2:  # claims to be encrypted, or to hold more than it does
        at = content.find(b"PK\x01\x02") + rng.choice((8, 20, 24, 42))
        content = content[:at] + rng.choice((b"\x01", b"\xff\xff\xff\x7f")) + content[at + 4 :]
    path.write_bytes(mutate(rng, content) if rng.random() < 0.7 else content)
    return _prepare(folder, may_refuse=True)


def _hostile(rng: random.Random) -> list[tuple[str, bytes]]:
    good = samples()[0][1]
    members = [
        *[
            (name, good)
            for name in ("/etc/storm.png", "../../storm.png", "clear\\..\\..\\storm.png")
        ],
        *[
            ("clear/000.png", good),
            ("clear/link.png", b"link"),
            ("clear/" + "d/" * 120 + "x.png", good),
        ],
        *[
            ("clear/bomb.png", bytes(2**26)),
            ("clear/name\n<b>.png", good),
            ("clear/\x00.png", good),
        ],
        *[("clear/" + "n" * 300 + ".png", good), ("clear", good), ("clear/000.png/x.png", good)],
    ]
    return [member for member in members if rng.random() < 0.25]


def tars(folder: Path, rng: random.Random, _: int, *, samples_of: bool = False) -> list[str]:
    """A damaged tar, plain or packed, of class folders or of WebDataset's samples."""
    path, file = folder / "data/raw/photos.tar", io.BytesIO()
    members = _members(_fill(folder)) + _hostile(rng)
    if samples_of:
        pairs = [(n.replace("/", "-").split(".")[0], n, c) for n, c in members]
        members = [
            m for key, n, c in pairs for m in ((f"{key}.png", c), (f"{key}.cls", n[:5].encode()))
        ]
    with tarfile.open(fileobj=file, mode=rng.choice(PACKED)) as whole:
        for name, content in members:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            if content == b"link":
                info.type, info.linkname, info.size = tarfile.SYMTYPE, "/etc/passwd", 0
            whole.addfile(info, io.BytesIO(content))
    content = file.getvalue()
    path.write_bytes(mutate(rng, content) if rng.random() < 0.7 else content)
    return _prepare(folder, may_refuse=True)


def tables(folder: Path, rng: random.Random, _: int, *, kind: str) -> list[str]:
    """A damaged Parquet, Arrow or CSV file."""
    photos, file = _fill(folder), io.BytesIO()
    members = _members(photos)
    labels = [name.split("/")[0] for name, _ in members]
    if kind == "csv":
        table = pd.DataFrame({"image": [name for name, _ in members], "label": labels})
        file.write(table.to_csv(index=False).encode())
    else:
        packed = [{"bytes": content, "path": name} for name, content in members]
        arrow = pa.table({"image": packed, "label": labels})
        if kind == "parquet":
            pq.write_table(arrow, file)
        else:
            with pa.ipc.new_stream(file, arrow.schema) as stream:
                stream.write_table(arrow)
    (photos / f"table.{kind}").write_bytes(mutate(rng, file.getvalue()))
    return _prepare(folder, may_refuse=True)


@contextmanager
def faults() -> Iterator[list[Fault]]:
    """The file storm, about 10,000 images and 1,200 archives and tables."""
    with world.scratch() as root:
        wide = {"prepare.max_reject_fraction": 0.99, "prepare.channels": 3}

        def at(source: str, place: str, act: Callable[..., list[str]], **more: Any) -> Any:
            folder = make_world(root / f"{source}-{Path(place).name}-{len(list(root.iterdir()))}")
            given = {"prepare.source": source, "prepare.files.path": f"data/raw/{place}"}
            change_params(folder / "params.yaml", wide | given | more.pop("params", {}))
            return partial(act, folder, **more)

        audio = {
            "prepare.channels": 1,
            "prepare.near_duplicate_distance": 0,
            "prepare.audio.seconds": 0.5,
            "prepare.files.flips": [],
        }
        yield [
            Fault(
                "files: damaged images in every format", 8000, at("folder", "photos", images), 100
            ),
            Fault("files: odd names", 600, at("folder", "photos", names), 20),
            Fault(
                "files: files that change or vanish while read",
                600,
                at("folder", "photos", moving),
                60,
            ),
            Fault("files: damaged sounds", 800, at("audio", "sounds", sounds, params=audio), 50),
            Fault("files: damaged or hostile zips", 300, at("archive", "photos.zip", zips)),
            Fault("files: damaged or hostile tars", 300, at("archive", "photos.tar", tars)),
            Fault(
                "files: damaged or hostile WebDataset tars",
                200,
                at("webdataset", "photos.tar", tars, samples_of=True),
            ),
            *(
                Fault(
                    f"files: damaged {kind} tables",
                    200,
                    at(
                        "table" if kind == "csv" else "parquet",
                        f"photos/table.{kind}",
                        tables,
                        kind=kind,
                    ),
                )
                for kind in ("csv", "parquet", "arrow")
            ),
        ]
