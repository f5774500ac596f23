"""Workflows set up and call make, so that whatever CI does can be run here."""

import re
import subprocess
from pathlib import Path

from ruamel.yaml import YAML

REPOSITORY = Path(__file__).parents[1]
WORKFLOWS = sorted((REPOSITORY / ".github" / "workflows").glob("*.yml"))
SET_UP = {"actions/checkout", "actions/setup-python"}
TARGETS = set(re.findall(r"^([a-z-]+):.*##", (REPOSITORY / "Makefile").read_text(), re.MULTILINE))


def steps_of(path):
    jobs = YAML(typ="safe").load(path)["jobs"]
    return [step for job in jobs.values() for step in job["steps"]]


def test_beyond_set_up_there_is_make_alone():
    assert [path.stem for path in WORKFLOWS] == ["main", "pull-request", "release", "train"]
    for path in WORKFLOWS:
        steps = steps_of(path)
        assert {step["uses"].split("@")[0] for step in steps if "uses" in step} <= SET_UP
        commands = [step["run"].split() for step in steps if "run" in step]
        assert commands
        for word, target, *_ in commands:
            assert word == "make", path.stem
            assert target in TARGETS, path.stem


def plan(target, remote="/tmp/remote"):
    """What make would run, were nothing installed yet."""
    command = ["make", "--dry-run", "--always-make", target, f"DVC_REMOTE={remote}"]
    return subprocess.run(
        command, cwd=REPOSITORY, capture_output=True, text=True, check=True
    ).stdout


def test_a_run_needs_neither_developers_tools_nor_benchmarks():
    for target in ("repro", "publish", "consume"):
        assert "--editable .\n" in plan(target)
        assert not re.search(r"\[dev\]|benchmarks|README", plan(target))
    for target in ("test", "fast", "bench", "release-check"):
        assert "[dev]" in plan(target)

    assert "[s3]" in plan("remote", "s3://bucket/path")
    assert "[s3]" not in plan("remote")


def test_targets_are_phony_and_can_be_planned():
    phony = re.search(r"^\.PHONY: (.*)$", (REPOSITORY / "Makefile").read_text(), re.MULTILINE)[1]
    assert set(phony.split()) == TARGETS
    assert all(plan(target) for target in TARGETS)
