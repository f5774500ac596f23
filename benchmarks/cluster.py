"""What 100 million images would take on a cluster, simulated from the costs that `scale` measured.

The two largest sizes in results/scale give, for each stage, seconds of the program's own process
and of its workers for each image more, and memory. The simulation hands tasks out as the executor
does: the own process spends its time for each task by itself, a free worker takes the next task, a
worker that dies loses its task to another one. The table goes to docs/scale.md.
"""

import heapq
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from benchmarks.pages import as_markdown, put_table
from benchmarks.scale import RESULTS, STAGES
from benchmarks.studies import ROOT
from ganaug.errors import GanaugError, run
from ganaug.fileio import read_json

PAGE = ROOT / "docs" / "scale.md"
IMAGES = 100_000_000
CORES = 16  # of a machine: AWS c7i.4xlarge
DOLLARS_AN_HOUR = 0.714  # of one, us-east-1, on demand
MACHINES = (1, 8, 64)
SHARING = ("prepare", "generate", "evaluate")  # their work with workers
IMAGES_A_TASK = 256  # as `generate` draws them; coarser than the batches of `prepare`
HOURS_BETWEEN_DEATHS = 200.0  # of a machine that may be taken away at any time
UNEVEN = 0.3  # deviation of the logarithm of a task's time


@dataclass(frozen=True)
class Cost:
    """Of a stage: seconds that no number of images changes, and for each image; MiB likewise."""

    fixed: float
    own: float
    workers: float
    mib: float
    mib_an_image: float


def main() -> None:
    """Write the table."""
    costs = measured_costs()
    print(table := as_markdown([_HEAD, *_rows(costs)]))
    put_table(table, "cluster", PAGE)


def measured_costs() -> dict[str, Cost]:
    """By stage, from the two largest sizes that were run."""
    sizes = sorted(int(path.stem) for path in RESULTS.glob("*.json"))
    if len(sizes) < 2:
        raise GanaugError(f"{RESULTS}: two sizes are needed; run python -m benchmarks.scale")
    small, large = sizes[-2:]
    less, more = (read_json(RESULTS / f"{size}.json") for size in (small, large))

    def slope(stage: str, key: str) -> float:
        grown = float(more[stage][key]) - float(less[stage][key])
        return max(0.0, grown / (large - small))

    costs = {}
    for stage in STAGES:
        shares = stage in SHARING
        workers = slope(stage, "worker_core_seconds") if shares else 0.0
        own = slope(stage, "core_seconds" if shares else "seconds")
        mib = slope(stage, "mib")
        fixed = max(0.0, less[stage]["seconds"] - small * (own + workers / 2))  # of two cores
        costs[stage] = Cost(fixed, own, workers, less[stage]["mib"] - small * mib, mib)
    return costs


_HEAD = (
    "stage", "own process, us an image", "workers, us an image", "memory of the largest process",
    *(f"hours on {n * CORES:,} cores" for n in MACHINES), "dollars on the last",
)  # fmt: skip


def _rows(costs: dict[str, Cost]) -> Iterator[tuple[str, ...]]:
    for stage, cost in costs.items():
        hours = [simulate(cost, IMAGES, machines) for machines in MACHINES]
        memory = (cost.mib + cost.mib_an_image * IMAGES) / 1024
        yield (
            stage,
            f"{1e6 * cost.own:.0f}",
            f"{1e6 * cost.workers:.0f}",
            f"{memory:,.0f} GiB",
            *(f"{own:.1f}" for own in hours),
            f"{hours[-1] * MACHINES[-1] * DOLLARS_AN_HOUR:,.0f}",
        )


def simulate(cost: Cost, images: int, machines: int, *, seed: int = 0) -> float:
    """Hours until all images are through a stage.

    Args:
        cost: of the stage.
        images: in all, in tasks of `IMAGES_A_TASK`.
        machines: of `CORES` workers each; one of them has the own process as well.
        seed: of the tasks' times and of the deaths.
    """
    if not cost.workers:
        return (cost.fixed + cost.own * images) / 3600
    rng = np.random.default_rng(seed)
    number = -(-images // IMAGES_A_TASK)
    usual, own = cost.workers * IMAGES_A_TASK, cost.own * IMAGES_A_TASK
    drawn = iter(usual * rng.lognormal(-(UNEVEN**2) / 2, UNEVEN, 2 * number))
    chance = 1 - np.exp(-usual / (3600 * HOURS_BETWEEN_DEATHS))  # that a machine dies in a task
    lost = iter(rng.random(2 * number) < chance)
    free = [0.0] * (machines * CORES)  # when each worker is
    now = end = cost.fixed  # of the own process; of the last result
    left = number
    while left:
        began = max(now, heapq.heappop(free))
        done = began + next(drawn)
        heapq.heappush(free, done)
        if not next(lost):
            left -= 1
            now += own
        end = max(end, done)
    return max(now, end) / 3600


if __name__ == "__main__":
    run(main)
