"""dvc.yaml against the code: every imported file is a dependency, every option has its path."""

import ast
from pathlib import Path

import pytest
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


def files_behind(file: Path, seen: set[Path] | None = None) -> set[Path]:
    """`file` and every file of ours that it imports, directly or not."""
    seen = seen if seen is not None else set()
    seen.add(file)
    for name in imported_modules(file):
        found = module_file(name)
        if found is not None and found not in seen:
            files_behind(found, seen)
    return seen


def outputs(stage: dict) -> list[str]:
    entries = [*stage.get("outs", []), *stage.get("metrics", []), *stage.get("plots", [])]
    return [entry if isinstance(entry, str) else next(iter(entry)) for entry in entries]


@pytest.mark.parametrize("name", STAGES)
def test_every_imported_file_is_a_dependency(name):
    deps = [REPOSITORY / dep for dep in STAGES[name]["deps"]]
    missing = [
        str(file.relative_to(REPOSITORY))
        for file in files_behind(REPOSITORY / "pipeline" / f"{name}.py")
        if file not in HARMLESS and not any(file == dep or dep in file.parents for dep in deps)
    ]
    assert missing == []


@pytest.mark.parametrize("name", STAGES)
def test_every_code_dependency_is_imported(name):
    used = files_behind(REPOSITORY / "pipeline" / f"{name}.py")
    code = [REPOSITORY / dep for dep in STAGES[name]["deps"] if dep.startswith(("src", "pipeline"))]
    idle = [
        str(dep.relative_to(REPOSITORY))
        for dep in code
        if not any(file == dep or dep in file.parents for file in used)
    ]
    assert idle == []
    assert not HARMLESS & set(code)


def test_a_folder_is_a_dependency_only_where_all_of_it_is_used():
    for name, stage in STAGES.items():
        used = files_behind(REPOSITORY / "pipeline" / f"{name}.py")
        for dep in (REPOSITORY / dep for dep in stage["deps"] if dep.startswith("src")):
            idle = [p for p in dep.glob("*.py") if p not in used and p.name != "__init__.py"]
            assert idle == [] or dep.name in WHOLE, f"{name}: {dep.name} holds {idle}"


@pytest.mark.parametrize("name", STAGES)
def test_stage_is_described_and_reads_its_own_params(name):
    stage = STAGES[name]
    assert stage["desc"]
    if name == "report":  # it shows those of all stages before it
        assert set(stage["params"]) == {"seed", "prepare", "train", "generate", "evaluate"}
        return
    knows = "src/ganaug/downstream/classical.py" in stage["deps"]
    shared = {"evaluate.classical"} if knows and name != "evaluate" else set()
    if name == "evaluate":  # whose guard is as strict as prepare was
        shared = {"prepare.near_duplicate_distance"}
    assert set(stage["params"]) - {"seed"} == {name} | shared
    assert name in Params.model_fields


@pytest.mark.parametrize("name", STAGES)
def test_every_data_dependency_is_made_by_an_earlier_stage(name):
    earlier: list[str] = []
    for other, stage in STAGES.items():
        if other == name:
            break
        earlier += outputs(stage)
    data = [d for d in STAGES[name]["deps"] if d.startswith(("data", "models", "results"))]
    given = ["data/raw"]  # images of the user's own, and no stage's
    assert [dep for dep in data if dep not in [*given, *earlier]] == []


def test_no_two_stages_write_the_same_path():
    paths = [path for stage in STAGES.values() for path in outputs(stage)]
    assert len(paths) == len(set(paths))


def test_metrics_lie_in_git_and_not_in_the_cache():
    for stage in STAGES.values():
        for entry in stage.get("metrics", []):
            assert next(iter(entry.values()))["cache"] is False


def test_costs_are_shown_and_are_no_outputs():
    """They differ from run to run; as outputs they would change dvc.lock without need."""
    costs = [f"results/{name}/budget.json" for name in STAGES]
    assert PIPELINE["metrics"] == costs
    assert not {path for stage in STAGES.values() for path in outputs(stage)} & set(costs)


def test_artifacts_are_outputs():
    paths = [path for stage in STAGES.values() for path in outputs(stage)]
    kinds = {facts["type"] for facts in PIPELINE["artifacts"].values()}
    assert kinds == {"dataset", "model"}
    assert all(facts["path"] in paths for facts in PIPELINE["artifacts"].values())
