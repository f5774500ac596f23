"""How much code there is: lines of each part without blanks, comments, docstrings and imports."""

import ast
import io
import tokenize
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parents[1]
PARTS = ("src", "pipeline", "tests", "benchmarks")
SKIPPED = {
    *(tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT),
    tokenize.ENDMARKER,
}


def main() -> None:
    """Print a line a part, and one for each room of src."""
    for part in PARTS:
        counts = Counter[str]()
        for path in sorted((ROOT / part).rglob("*.py")):
            folders = path.relative_to(ROOT / part).parts
            counts[folders[1] if len(folders) > 2 else "files of its own"] += code_lines(path)
        print(f"{part}: {sum(counts.values()):,} lines of code")
        if part == "src":
            for room, number in counts.most_common():
                print(f"  {room}: {number:,}")


def code_lines(path: Path) -> int:
    """Lines that hold code: no blank, comment, docstring or import."""
    text = path.read_text(encoding="utf-8")
    left_out = set[int]()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import | ast.ImportFrom) or (
            isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        ):
            left_out.update(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    lines = set[int]()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type not in SKIPPED:
            lines.update(range(token.start[0], token.end[0] + 1))
    return len(lines - left_out)


if __name__ == "__main__":
    main()
