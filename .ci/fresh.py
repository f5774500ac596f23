"""Fail when code or params changed since the committed dvc.lock: somebody forgot `make repro`.

Data need not be there: what a stage makes for another one is not looked at.
"""

import json
import subprocess
import sys


def stale_places(status: dict[str, list[object]]) -> list[str]:
    """`stage: what changed` from `dvc status --json`; a missing file is not a change."""
    places = []
    for stage, entries in sorted(status.items()):
        for entry in entries:
            changed = entry.get("changed deps", {}) if isinstance(entry, dict) else {}
            for path, state in sorted(changed.items()):
                if isinstance(state, dict):
                    places += [f"{stage}: {path}: {key} {what}" for key, what in state.items()]
                elif state != "deleted":
                    places.append(f"{stage}: {path} {state}")
            if entry == "changed command":
                places.append(f"{stage}: its command")
    return places


if __name__ == "__main__":
    command = [sys.executable, "-m", "dvc", "status", "--json"]
    shown = subprocess.run(command, check=True, capture_output=True, text=True)
    stale = stale_places(json.loads(shown.stdout))
    for place in stale:
        print(f"stale: {place}")
    if stale:
        sys.exit("dvc.lock is older than these; run `make repro` and commit dvc.lock and results")
    print("dvc.lock follows the code and the params")
