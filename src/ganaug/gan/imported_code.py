"""Find the code that a program runs, by following its imports.

Only the code that made a training state may resume it, so the fingerprint of a run covers every
file that can change the result. A list written by hand would miss new modules.
"""

import ast
from pathlib import Path

from ganaug.fileio import sha256_file

# These measure, show, stop or store a run, but change no number in it. Their imports are not
# followed either, so a change of the progress bar or of an error message loses no state.
NEUTRAL = frozenset({"budget", "errors", "fileio", "gan.interrupts", "progress"})


def imported_code(program: Path, package: Path) -> dict[str, str]:
    """SHA-256 of a program's file and of all modules of a package that it imports.

    Args:
        program: a Python file.
        package: the folder of the package, say src/ganaug.
    Returns:
        {dotted name below the package: digest}, sorted; the program is named by its file.
    """
    found = {program.name: sha256_file(program)}
    waiting = _imported_names(program, package.name)
    while waiting:
        name = waiting.pop()
        path = package.joinpath(*name.split(".")).with_suffix(".py")
        if name not in found and name not in NEUTRAL and path.is_file():
            found[name] = sha256_file(path)
            waiting += _imported_names(path, package.name)
    return dict(sorted(found.items()))


def _imported_names(file: Path, package: str) -> list[str]:
    """Dotted names below the package that a file imports, anywhere in it; some are no modules."""
    names = []
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names += [str(node.module)]
            names += [f"{node.module}.{alias.name}" for alias in node.names]
    start = f"{package}."
    return [name.removeprefix(start) for name in names if name.startswith(start)]
