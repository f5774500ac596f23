"""`make storm`: break everything that can break, count what was lost, write docs/reliability.md."""

import os
import signal
import sys
import time
from importlib import import_module
from pathlib import Path

from benchmarks.storm.ledger import SEED, record, rows, run_part

PARTS = ("files", "kills", "between", "readers", "code", "machine")
STATE = Path(".ganaug/storm")
MOST_MINUTES = 120.0  # all parts together; then run it again, and it goes on


def main() -> None:
    """Run the parts that are named, or all; a stopped one goes on.

    STORM_MINUTES bounds the time; STORM_SHARE does a share of the tries and records nothing.
    """
    os.environ |= {"LOKY_MAX_CPU_COUNT": "1", "OMP_NUM_THREADS": "1"}  # children work alone
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped; the same command goes on"))
    end = time.monotonic() + 60 * float(os.environ.get("STORM_MINUTES", MOST_MINUTES))
    share, lost = float(os.environ.get("STORM_SHARE", "1")), False
    print(f"seed {SEED}; counts are kept in {STATE}", flush=True)
    for name in sys.argv[1:] or PARTS:
        if name not in PARTS:
            sys.exit(f"no part {name}; there are {', '.join(PARTS)}")
        part = import_module(f"benchmarks.storm.{name}").faults
        counts = run_part(part, STATE / f"{name}.json", end=end, share=share)
        lost |= any(own["lost"] for own in counts.values())
    print(record(STATE) if share == 1 else "\n".join(rows(STATE).values()))
    sys.exit(int(lost))


if __name__ == "__main__":
    main()
