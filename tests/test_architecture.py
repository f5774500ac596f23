"""The shape of the code base: what may import what, and how long a file may be."""

import ast
from pathlib import Path

ROOT = Path(__file__).parents[1]
# From the bottom up; a part imports from parts of its own line or of lines above it here.
LAYERS = (
    ("errors",),
    (
        "images",
        "spectrogram",
        "fileio",
        "rng",
        "config",
        "budget",
        "progress",
        "parallel",
        "templates",
    ),
    ("records",),
    ("shards", "thumbnails"),
    ("sources",),
    ("preparing",),
    ("gan",),
    ("quality",),
    ("downstream",),
    ("curating",),
    ("verdict",),
    ("publishing",),
    ("reporting", "reviewing"),
    ("data",),
    ("release", "folds", "probe"),
    ("plan",),
    ("pipeline", "cli"),
)
RANK = {part: rank for rank, parts in enumerate(LAYERS) for part in parts}
# Third-party packages that only these parts may know.
FENCES = {
    "typer": {"pipeline", "cli"},
    "dvclive": {"pipeline", "cli"},
    "dvc": {"pipeline", "cli", "data", "release"},
    "gto": {"release"},
    "pydantic": {"config"},
    "ruamel": {"config"},
    "yaml": set(),  # PyYAML reads `1e-4` as text
    "pickle": set(),
}
MOST_LINES = 400

FILES = sorted([*ROOT.glob("src/ganaug/**/*.py"), *ROOT.glob("pipeline/**/*.py")])


def part_of(file):
    """Name in `LAYERS` of the part that a file belongs to; None for the package itself."""
    folder, *rest = file.relative_to(ROOT).with_suffix("").parts
    if folder == "pipeline":
        return "pipeline"
    return None if rest == ["ganaug", "__init__"] else rest[1]


def imports_of(file):
    """Dotted names of the modules that a file imports, anywhere in it."""
    names = []
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: relative import"
            names += [f"{node.module}.{alias.name}" for alias in node.names]
    return names


def imported_parts(file):
    """Names in `LAYERS` that a file imports."""
    dotted = (name.split(".") for name in imports_of(file))
    return {
        name[0] if name[0] == "pipeline" else name[1]
        for name in dotted
        if name[0] in ("ganaug", "pipeline") and len(name) > 1
    }


def name_of(file):
    return str(file.relative_to(ROOT))


def test_imports_point_downwards():
    assert imported_parts(ROOT / "pipeline" / "prepare.py") >= {"config", "preparing"}
    for file in FILES:
        part = part_of(file)
        assert part is None or part in RANK, f"give {part} a place in LAYERS"
        upwards = {o for o in imported_parts(file) if part is None or RANK[o] > RANK[part]}
        assert not upwards, f"{name_of(file)} must not know {upwards}"


def test_packages_stay_behind_their_fences():
    for file in FILES:
        packages = {name.split(".")[0] for name in imports_of(file)}
        trespassing = {p for p in packages & set(FENCES) if part_of(file) not in FENCES[p]}
        assert not trespassing, name_of(file)


def test_one_module_knows_albumentations():
    knowing = [name_of(f) for f in FILES if "albumentations" in ".".join(imports_of(f))]
    assert len(knowing) <= 1, knowing


def test_files_fit_the_wall_and_init_is_empty():
    for file in FILES:
        text = file.read_text(encoding="utf-8")
        # A re-exporting __init__ makes every stage depend on every module.
        most = 0 if file.name == "__init__.py" else MOST_LINES
        assert len(text.splitlines()) <= most, name_of(file)
