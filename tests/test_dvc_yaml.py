"""dvc.yaml against the code: every imported file is a dependency, every option has its path."""

import ast
from functools import cache
from pathlib import Path

from ruamel.yaml import YAML

from ganaug.config import Params

REPOSITORY = Path(__file__).parents[1]
PIPELINE = YAML(typ="safe", pure=True).load(REPOSITORY / "dvc.yaml")
STAGES = PIPELINE["stages"]
# They decide no output: a change of the progress bar must not train the GAN again.
WHOLE = ("publishing", "reporting", "sources")  # with templates, or files found by name
HARMLESS = {REPOSITORY / "src/ganaug" / f"{name}.py" for name in ("budget", "errors", "progress")}


def module_file(name: str) -> Path | None:
    """The file of `ganaug.x.y` or `pipeline.x`; None for a module that is not ours."""
    root = {"ganaug": REPOSITORY / "src", "pipeline": REPOSITORY}.get(name.partition(".")[0])
    if root is None:
        return None
    path = root.joinpath(*name.split("."))
    return path.with_suffix(".py") if path.with_suffix(".py").exists() else None


def imported_modules(file: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {node.module or "", *(f"{node.module}.{alias.name}" for alias in node.names)}
    return names


@cache
def files_behind(stage: str) -> set[Path]:
    """The script of a stage and every file of ours that it imports, directly or not."""
    seen, new = set(), {REPOSITORY / "pipeline" / f"{stage}.py"}
    while new:
        seen |= new
        new = {module_file(name) for file in new for name in imported_modules(file)} - seen - {None}
    return seen


def outputs(stage: dict) -> list[str]:
    entries = [*stage.get("outs", []), *stage.get("metrics", []), *stage.get("plots", [])]
    return [entry if isinstance(entry, str) else next(iter(entry)) for entry in entries]


def holds(dep: Path, file: Path) -> bool:
    return dep == file or dep in file.parents


def test_code_dependencies_are_the_files_that_are_imported():
    for name, stage in STAGES.items():
        code = [REPOSITORY / d for d in stage["deps"] if d.startswith(("src", "pipeline"))]
        used = files_behind(name)
        missing = [f for f in used - HARMLESS if not any(holds(dep, f) for dep in code)]
        assert missing == [], name
        assert [dep for dep in code if not any(holds(dep, file) for file in used)] == [], name
        assert not HARMLESS & set(code), name
        for dep in code:  # a folder, only where all of it is used
            idle = [p for p in dep.glob("*.py") if p not in used and p.name != "__init__.py"]
            assert idle == [] or dep.name in WHOLE, f"{name}: {dep.name} holds {idle}"


def test_stage_is_described_and_reads_its_own_params():
    for name, stage in STAGES.items():
        assert stage["desc"]
        knows = "src/ganaug/downstream/classical.py" in stage["deps"]
        expected = {name} | ({"evaluate.classical"} if knows and name != "evaluate" else set())
        if name == "evaluate":  # whose guard is as strict as prepare was
            expected.add("prepare.near_duplicate_distance")
        if name == "report":  # it shows those of all stages before it
            expected = {"prepare", "train", "generate", "evaluate"}
        assert set(stage["params"]) - {"seed"} == expected, name
        assert {key.split(".")[0] for key in expected} <= set(Params.model_fields), name


def test_every_data_dependency_is_made_by_an_earlier_stage_and_by_one_only():
    earlier = ["data/raw", "data/review.csv", "results/studies"]  # of people, and no stage's
    for name, stage in STAGES.items():
        data = [d for d in stage["deps"] if d.startswith(("data", "models", "results"))]
        assert [dep for dep in data if dep not in earlier] == [], name
        earlier += outputs(stage)
    assert len(earlier) == len(set(earlier))


def test_metrics_lie_in_git_and_costs_are_no_outputs():
    """Costs differ from run to run; as outputs they would change dvc.lock without need."""
    entries = [entry for stage in STAGES.values() for entry in stage.get("metrics", [])]
    assert all(next(iter(entry.values()))["cache"] is False for entry in entries)
    assert PIPELINE["metrics"] == [f"results/{name}/budget.json" for name in STAGES]
    paths = {path for stage in STAGES.values() for path in outputs(stage)}
    assert not paths & set(PIPELINE["metrics"])
    artifacts = PIPELINE["artifacts"].values()
    assert {facts["type"] for facts in artifacts} == {"dataset", "model"}
    assert {facts["path"] for facts in artifacts} <= paths
