"""`make bench`: each benchmark prints ratios against a rival or limit measured in the same run."""

import sys

from benchmarks import generation, publishing, quality, throughput

BENCHMARKS = {
    "generation": generation.main,
    "throughput": throughput.main,
    "publishing": publishing.main,  # a quarter of an hour: a million rows
    "quality": quality.main,  # half an hour: it trains
}

if __name__ == "__main__":
    for name in sys.argv[1:] or BENCHMARKS:
        BENCHMARKS[name]()
