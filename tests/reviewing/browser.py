"""Chromium driven over its DevTools pipe: real key presses, with the standard library alone."""

import base64
import json
import os
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

import psutil

CHROMIUM = shutil.which("chromium")
FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run")
FLAGS += ("--disable-background-networking", "--disable-component-update", "--disable-sync")
PATIENCE = 60  # seconds for any answer
CODES = {"ArrowLeft": 37, "ArrowUp": 38, "ArrowRight": 39, "ArrowDown": 40, "Enter": 13, "Tab": 9}


class Browser:
    """One page of a headless Chromium; a context manager."""

    def __init__(self, folder: Path, *, width: int, height: int) -> None:
        self._folder, self._size = folder, {"width": width, "height": height}
        self._number, self._rest, self.complaints = 0, b"", list[str]()

    def __enter__(self) -> "Browser":
        (ours_in, self._out), (self._in, ours_out) = os.pipe(), os.pipe()
        # It reads commands from descriptor 3 and writes to 4, each ended by a zero byte.
        script = f'exec "$@" 3<&{ours_in} 4>&{ours_out}'
        command = [CHROMIUM, *FLAGS, "--remote-debugging-pipe"]
        command += [f"--user-data-dir={self._folder / 'profile'}"]
        self._process = subprocess.Popen(
            ["bash", "-c", script, "bash", *command],
            pass_fds=(ours_in, ours_out),
            stderr=subprocess.DEVNULL,
        )
        os.close(ours_in)
        os.close(ours_out)
        self._session: dict[str, str] = {}
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        found = self.call("Target.attachToTarget", targetId=target, flatten=True)
        self._session = {"sessionId": found["sessionId"]}
        for domain in ("Page", "Runtime", "Log"):
            self.call(f"{domain}.enable")
        mobile = self._size["width"] < 600
        self.call(
            "Emulation.setDeviceMetricsOverride", deviceScaleFactor=1, mobile=mobile, **self._size
        )
        self.call("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(self._folder))
        return self

    def __exit__(self, *_: object) -> None:
        self._session = {}
        self.call("Browser.close")
        self._process.wait(PATIENCE)
        os.close(self._in)
        os.close(self._out)

    def call(self, method: str, **params: Any) -> Any:
        """Send a command, and wait for its answer; collects complaints meanwhile."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": params, **self._session}
        os.write(self._out, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._receive()
            if answer.get("method") in ("Runtime.exceptionThrown", "Log.entryAdded"):
                self.complaints.append(json.dumps(answer["params"]))
            if answer.get("id") == self._number:
                assert "error" not in answer, answer
                return answer["result"]

    def _receive(self) -> Any:
        while b"\0" not in self._rest:
            part = os.read(self._in, 2**20)
            assert part, "Chromium has gone"
            self._rest += part
        message, _, self._rest = self._rest.partition(b"\0")
        return json.loads(message)

    def processor_seconds(self) -> float:
        """What all its processes have used; by the clock it depends on what else runs."""
        first = psutil.Process(self._process.pid)
        spent = [part.cpu_times() for part in (first, *first.children(recursive=True))]
        return sum(times.user + times.system for times in spent)

    def open(self, address: str) -> None:
        """Load a page, and wait until it is ready."""
        self.call("Page.navigate", url=address)
        self.wait("document.readyState === 'complete' && location.href !== 'about:blank'")

    def run(self, script: str) -> Any:
        """The value of an expression in the page."""
        found = self.call("Runtime.evaluate", expression=script, returnByValue=True)
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    def wait(self, script: str) -> None:
        """Wait until an expression in the page is true."""
        until = time.monotonic() + PATIENCE
        while not self.run(script):
            assert time.monotonic() < until, script
            time.sleep(0.02)

    def press(self, *keys: str) -> None:
        """Press and release keys, named as in JavaScript's `event.key`."""
        for key in keys:
            code = {"key": key, "windowsVirtualKeyCode": CODES.get(key, ord(key[0].upper()))}
            text = {"text": key} if len(key) == 1 else {}
            self.call("Input.dispatchKeyEvent", type="keyDown", **code, **text)
            self.call("Input.dispatchKeyEvent", type="keyUp", **code)

    def tap(self, selector: str) -> None:
        """Press the mouse in the middle of an element."""
        box = f"document.querySelector({json.dumps(selector)}).getBoundingClientRect()"
        at = self.run(f"(b => ({{x: b.x + b.width / 2, y: b.y + b.height / 2}}))({box})")
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, button="left", clickCount=1, **at)

    def screenshot(self, path: Path) -> None:
        """Write what the window shows as PNG."""
        path.write_bytes(base64.b64decode(self.call("Page.captureScreenshot")["data"]))
