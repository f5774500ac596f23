"""Tables in Markdown, and the pages that show them between marks."""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from ganaug.fileio import write_text


def as_markdown(rows: Iterable[Sequence[str]]) -> str:
    """A table; the first row is its head."""
    head, *body = rows
    lines = [head, ["---"] * len(head), *body]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def marked(name: str) -> re.Pattern[str]:
    """Finds what stands between the marks of this name."""
    return re.compile(rf"(?<=<!-- {name} -->\n).*?(?=<!-- end of {name} -->)", re.DOTALL)


def put_table(table: str, name: str, page: Path) -> None:
    """Put a table between the marks of this name."""
    text = page.read_text(encoding="utf-8")
    write_text(marked(name).sub(lambda _: table, text), page)
