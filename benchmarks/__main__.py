"""`make bench`: each benchmark prints ratios against a rival or limit measured in the same run."""

import sys

from benchmarks import (
    families,
    generation,
    memory,
    plateau,
    prepare,
    publishing,
    quality,
    scale,
    throughput,
    variants,
    verdict,
)

BENCHMARKS = {
    "generation": generation.main,
    "throughput": throughput.main,
    "variants": variants.main,
    "memory": memory.main,
    "prepare": prepare.main,
    "publishing": publishing.main,
    "quality": quality.main,  # half an hour: it trains
    "families": families.main,  # over an hour: it trains and judges ten generators
    "plateau": plateau.main,  # minutes: it trains classifiers
    "scale": scale.main,  # hours: it runs the pipeline on a million images
    "verdict": verdict.main,  # minutes: it simulates
}

if __name__ == "__main__":
    for name in sys.argv[1:] or BENCHMARKS:
        BENCHMARKS[name]()
