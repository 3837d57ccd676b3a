"""Markdown of plain values: names may hold bars, stars and backticks, and stay what they are."""

import re
from collections.abc import Sequence


def plain(text: str) -> str:
    """`text` on one line, with nothing in it that Markdown would take for its own.

    A bracket only where a link or a checkbox would begin: `pip install "pvt-edge[bench]"` stays as it is to be typed.
    """
    return re.sub(r"([`*|]|^\[(?=[ xX]\])|\[(?=.*\][(\[:])|<(?=[A-Za-z/!]))", r"\\\1", " ".join(text.split()))


def code(text: str) -> str:
    """`text` in a code span; in a table too, where a bar would end the cell."""
    line = " ".join(text.split()).replace("|", r"\|")
    longest = max((len(run) for run in re.findall("`+", line)), default=0)
    fence = "`" * (longest + 1)
    return f"{fence} {line} {fence}" if longest else f"{fence}{line}{fence}"


def bold(text: str) -> str:
    """`text`, which is plain already, in bold."""
    return f"**{text}**"


def table(columns: Sequence[str], rows: Sequence[Sequence[str]], *, words: int = 1) -> str:
    """Rows below their column names; the first `words` columns are text, the others figures and set right."""
    rule = [":--"] * words + ["--:"] * (len(columns) - words)
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (columns, rule, *rows))


def bullets(items: Sequence[str]) -> str:
    """One line an item."""
    return "\n".join(f"- {item}" for item in items)
