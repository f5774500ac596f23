import signal
import subprocess
import sys
import time

import psutil
import pytest

from ganaug.gan import interrupts
from ganaug.gan.interrupts import StopRequest

WATCHER = """
import sys, time
from ganaug.gan.interrupts import StopRequest
with StopRequest() as stop:
    print("ready", flush=True)
    for _ in range(200):
        if stop.pending():
            sys.exit(print("orphan", flush=True))
        time.sleep(0.05)
"""


def test_signal_is_remembered():
    with StopRequest() as stop:
        assert stop.pending() is None
        signal.raise_signal(signal.SIGTERM)
        assert stop.pending() == signal.SIGTERM


@pytest.mark.parametrize("asked", ["is_running", "status"])
def test_a_launcher_that_ends_while_it_is_asked_about_stops_the_run(monkeypatch, asked):
    class Launcher:
        def __getattr__(self, name):
            def answer():
                if name == asked == "status":
                    raise psutil.NoSuchProcess(1)
                return name != asked

            return answer

    monkeypatch.setattr(interrupts, "_launchers", lambda: [Launcher()])
    with StopRequest() as stop:
        assert stop.pending() == signal.SIGTERM


def test_a_parent_that_may_not_be_looked_at_is_no_launcher(monkeypatch):
    class Parent:
        def name(self):
            return "login"

        def cmdline(self):
            raise psutil.AccessDenied(1)

    monkeypatch.setattr(psutil.Process, "parents", lambda _: [Parent()])
    with StopRequest() as stop:
        assert stop.pending() is None


def test_a_launcher_that_ends_before_its_name_is_read_stops_the_run(monkeypatch):
    class Parent:
        def name(self):
            raise psutil.NoSuchProcess(1)

        def is_running(self):
            return False

    monkeypatch.setattr(psutil.Process, "parents", lambda _: [Parent()])
    with StopRequest() as stop:
        assert stop.pending() == signal.SIGTERM


def test_death_of_the_launching_shell_is_noticed():
    # `sh` stays because a command follows; killed, it leaves the watcher behind.
    command = f"{sys.executable} -c '{WATCHER}'; true"
    with subprocess.Popen(["sh", "-c", command], stdout=subprocess.PIPE, text=True) as shell:
        assert shell.stdout.readline() == "ready\n"
        time.sleep(0.2)
        shell.kill()
        shell.wait()
        assert shell.stdout.readline() == "orphan\n"
