"""No code in data: descriptions of generators that ask for terabytes, paths or unknown networks."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.storm import world
from benchmarks.storm.kills import import_stages
from benchmarks.storm.ledger import Fault
from ganaug.errors import run
from ganaug.fileio import read_json, write_text

MOST_MIB = 1024
HOSTILE: tuple[Any, ...] = (
    *(2**62, 2**31, 10**30, 65_000, 0, -1, 1.5, float("nan"), True, None, [], {}, [[]], "", "x"),
    *("../../etc/passwd", "/dev/zero", "__import__('os').system('true')", "<script>", "\x00"),
    *([2**40] * 3, ["../up", "b"], [1] * 1000, {"__class__": "os.system"}),
)


def places(content: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The paths to all values inside JSON."""
    if path:
        yield path
    inner = (
        content.items()
        if isinstance(content, dict)
        else enumerate(content[:4])
        if isinstance(content, list)
        else ()
    )
    for key, value in inner:
        yield from places(value, (*path, key))


def hostile_snapshot(folder: Path, rng: random.Random, _: int) -> list[str]:
    """A generator.json with one hostile value: loaded as ever, or refused in one line."""
    import json

    from ganaug.gan.snapshot import load_snapshot

    path = folder / "models/generator/generator.json"
    whole, content = path.read_bytes(), read_json(path)
    *above, last = place = rng.choice(list(places(content)))
    target = content
    for key in above:
        target = target[key]
    target[last] = rng.choice(HOSTILE)
    text = "[" * 10**5 if rng.random() < 0.02 else json.dumps(content)
    write_text(text, path)
    act = partial(run, lambda: load_snapshot(path.parent))
    end = world.finish(world.start(act, folder), folder)
    path.write_bytes(whole)
    good = end.exit_code == 0 or end.refused_in_one_line()
    if good and end.peak_mib < MOST_MIB:
        return []
    return [f"{place} = {target[last]!r:.60}: {end.peak_mib:.0f} MiB, {end.describe()}"]


@contextmanager
def faults() -> Iterator[list[Fault]]:
    """Hostile snapshots."""
    import_stages()
    with world.scratch() as root:
        folder = world.make_world(root / "one")
        for name in ("prepare", "train"):
            assert world.attempt(name, folder).exit_code == 0
        yield [Fault("code: a hostile generator.json", 500, partial(hostile_snapshot, folder))]
