"""Benchmarks feed stages with made-up input; here it is seen that the stages still take it."""

from benchmarks import publishing
from ganaug.publishing.verify import verify_dataset


def test_the_simulated_run_is_merged_and_verified(tmp_path):
    assert publishing.write_stages(tmp_path, 1000) == (800, 200)
    publishing.merge(tmp_path, "ship")
    files = verify_dataset(tmp_path / "augmented")["files"]
    assert sum(facts["rows"] for facts in files.values()) == 1000
