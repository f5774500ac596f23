"""`make bench`: each benchmark prints a ratio against a rival or limit measured in the same run."""

from benchmarks import generation

if __name__ == "__main__":
    generation.main()
