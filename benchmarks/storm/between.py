"""Between the stages: a file that is changed, missing or another run's is named, not used."""

import random
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from benchmarks.storm import world
from benchmarks.storm.kills import import_stages
from benchmarks.storm.ledger import Fault
from benchmarks.storm.world import attempt, differences, fingerprints

READERS = world.STAGES[1:]
NOT_READ = ("rejected.parquet",)  # for people; and data/review.csv is theirs
LISTS = ("prepared.json", "synthetic.json", "generator.json", "verdict.json")


def inputs_of(name: str, folder: Path) -> list[Path]:
    """The files of earlier stages that a stage reads, as dvc.yaml lists them."""
    found = []
    for dep in world.dvc_stages()[name]["deps"]:
        place = folder / dep
        if dep.startswith(("data/", "models/", "results/")) and dep != "data/review.csv":
            files = sorted(place.rglob("*")) if place.is_dir() else [place]
            found += [path for path in files if path.is_file() and path.name not in NOT_READ]
    return found


def flip(path: Path, rng: random.Random) -> None:
    """Turn one bit of a file."""
    content = bytearray(path.read_bytes())
    content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
    path.write_bytes(content)


def spoil(
    folder: Path, other: Path, wanted: dict[str, str], rng: random.Random, _: int, *, how: str
) -> list[str]:
    """Spoil one file, run a stage that reads it, and put the file back."""
    name = rng.choice(READERS)
    path = rng.choice(inputs_of(name, folder))
    whole = path.read_bytes()
    foreign = other / path.relative_to(folder)
    if how == "flip":
        flip(path, rng)
    elif how == "missing":
        path.unlink()
    elif how == "empty" or not foreign.exists():
        path.write_bytes(b"")
    else:
        shutil.copyfile(foreign, path)
    same = path.exists() and path.read_bytes() == whole
    outcome = attempt(name, folder)
    path.write_bytes(whole)
    lost = differences(fingerprints(folder), wanted)
    where = path.relative_to(folder).as_posix()
    line = outcome.errors.strip().splitlines()[-1:] or [""]
    named = outcome.refused_in_one_line("run ") and any(n in line[0] for n in (path.name, *LISTS))
    if lost:
        world.run_all(folder)
    drawn = path.suffix == ".tsv" and outcome.exit_code == 0  # a curve is shown, and not shipped
    if (named and not lost) or (outcome.exit_code == 0 and (not lost or drawn)) or same:
        return []
    return [f"{how} {where}, {name}: {outcome.describe()}; {lost}"]


@contextmanager
def faults() -> Iterator[list[Fault]]:
    """One fault a kind of damage."""
    import_stages()
    with world.scratch() as root:
        folder, other = world.make_world(root / "one"), world.make_world(root / "two", seed=1)
        for each in (folder, other):
            world.warm_up(each)
        act = partial(spoil, folder, other, fingerprints(folder))
        yield [
            Fault("between: a bit of a file is turned", 400, partial(act, how="flip")),
            Fault("between: a file is missing", 60, partial(act, how="missing")),
            Fault("between: a file is empty", 60, partial(act, how="empty")),
            Fault("between: a file of another run", 80, partial(act, how="other")),
        ]
