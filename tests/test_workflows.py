"""Workflows set up and call make, so that whatever CI does can be run here."""

import re
import subprocess
from pathlib import Path

import pytest
from ruamel.yaml import YAML

REPOSITORY = Path(__file__).parents[1]
WORKFLOWS = sorted((REPOSITORY / ".github" / "workflows").glob("*.yml"))
SET_UP = {"actions/checkout", "actions/setup-python"}
TARGETS = set(re.findall(r"^([a-z-]+):.*##", (REPOSITORY / "Makefile").read_text(), re.MULTILINE))


def steps_of(path):
    jobs = YAML(typ="safe").load(path)["jobs"]
    return [step for job in jobs.values() for step in job["steps"]]


def test_each_event_has_its_workflow():
    assert [path.stem for path in WORKFLOWS] == ["main", "pull-request", "release", "train"]


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_beyond_set_up_there_is_make_alone(path):
    steps = steps_of(path)
    assert {step["uses"].split("@")[0] for step in steps if "uses" in step} <= SET_UP
    commands = [step["run"] for step in steps if "run" in step]
    assert commands
    for command in commands:
        word, target, *_ = command.split()
        assert word == "make"
        assert target in TARGETS, command


def test_every_target_can_be_planned():
    """`make --dry-run` knows what every target needs."""
    for target in TARGETS:
        plan = ["make", "--dry-run", "--always-make", target, "DVC_REMOTE=/tmp/remote"]
        done = subprocess.run(plan, cwd=REPOSITORY, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr


def test_targets_are_phony():
    phony = re.search(r"^\.PHONY: (.*)$", (REPOSITORY / "Makefile").read_text(), re.MULTILINE)[1]
    assert set(phony.split()) == TARGETS
