"""`make bench`: each benchmark prints ratios against a rival or limit measured in the same run."""

import sys

from benchmarks import generation, prepare, quality, throughput

BENCHMARKS = {
    "prepare": prepare.main,
    "generation": generation.main,
    "throughput": throughput.main,
    "quality": quality.main,  # half an hour: it trains
}

if __name__ == "__main__":
    for name in sys.argv[1:] or BENCHMARKS:
        BENCHMARKS[name]()
