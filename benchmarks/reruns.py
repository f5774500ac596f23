"""Which stages run again when a file changes: from dvc.yaml, for each file of the code.

The stages that name the file run; those behind them run too if that changes what they read.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

ROOT = Path(__file__).parents[1]


def main() -> None:
    """Print the table as Markdown."""
    stages = YAML(typ="safe", pure=True).load(ROOT / "dvc.yaml")["stages"]
    print("| file | runs again |\n| --- | --- |")
    for folder in ("pipeline", "src/ganaug"):
        for path in sorted((ROOT / folder).rglob("*")):
            if path.suffix in (".py", ".jinja", ".css") and path.stat().st_size:
                name = path.relative_to(ROOT).as_posix()
                print(f"| {name} | {', '.join(stages_of(name, stages)) or 'nothing'} |")


def stages_of(name: str, stages: Mapping[str, Any]) -> list[str]:
    """Stages that depend on a file, given by its path from the root."""
    return [
        stage
        for stage, facts in stages.items()
        if any(name == dep or name.startswith(f"{dep}/") for dep in facts["deps"])
    ]


if __name__ == "__main__":
    main()
