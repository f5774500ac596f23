import signal
import subprocess
import sys
import time

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


def test_death_of_the_launching_shell_is_noticed():
    # `sh` stays because a command follows; killed, it leaves the watcher behind.
    command = f"{sys.executable} -c '{WATCHER}'; true"
    with subprocess.Popen(["sh", "-c", command], stdout=subprocess.PIPE, text=True) as shell:
        assert shell.stdout.readline() == "ready\n"
        time.sleep(0.2)
        shell.kill()
        shell.wait()
        assert shell.stdout.readline() == "orphan\n"
