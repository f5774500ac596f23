"""Which stages run again when a file changes: each file of the code is touched, and DVC is asked.

In a clone of the working tree, whose dvc.lock must be up to date with it. The stages that DVC names
run; those behind them run too if that changes what they read.
"""

import json
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.consumers import copy_repository
from ganaug.errors import GanaugError, run

ROOT = Path(__file__).parents[1]


def main() -> None:
    """Print the table as Markdown."""
    with TemporaryDirectory() as scratch:
        clone = Path(scratch) / "clone"
        copy_repository(clone)
        if stale := stale_stages(clone):
            raise GanaugError(f"dvc.lock is older than the code of {', '.join(stale)}; make repro")
        print("| file | runs again |\n| --- | --- |")
        for folder in ("pipeline", "src/ganaug"):
            for path in sorted((clone / folder).rglob("*")):
                if path.suffix in (".py", ".jinja", ".css") and path.stat().st_size:
                    content = path.read_bytes()
                    path.write_bytes(content + b"\n")
                    stages = ", ".join(stale_stages(clone)) or "nothing"
                    path.write_bytes(content)
                    print(f"| {path.relative_to(clone)} | {stages} |", flush=True)


def stale_stages(folder: Path) -> list[str]:
    """Stages whose code is not what dvc.lock names; data need not be there."""
    command = [sys.executable, "-m", "dvc", "status", "--json"]
    answer = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    return [
        stage
        for stage, entries in json.loads(answer.stdout).items()
        if any(
            path.startswith(("src/", "pipeline/")) and state == "modified"
            for entry in entries
            if isinstance(entry, dict)
            for path, state in entry.get("changed deps", {}).items()
        )
    ]


if __name__ == "__main__":
    run(main)
