"""Figures as people read them, and Markdown of plain values, whose bars, stars and backticks stay what they are."""

import re
from collections.abc import Sequence
from math import isfinite

NOTHING = "-"  # not measured, or not a number


def ms(value: float | None) -> str:
    """Milliseconds with the digits that mean something: 141, 14.2, 4.21."""
    if value is None or not isfinite(value):
        return NOTHING
    size = abs(value)
    return _signless_zero(f"{value:.{0 if size >= 99.95 else 1 if size >= 9.995 else 2}f}")


def fraction(value: float | None) -> str:
    """A metric's value, to four decimals."""
    return NOTHING if value is None or not isfinite(value) else _signless_zero(f"{value:.4f}")


def drop(value: float | None) -> str:
    """A loss to four decimals, with its sign; none where it rounds to nothing."""
    return NOTHING if value is None or not isfinite(value) else _signless_zero(f"{value:+.4f}")


def times(value: float | None) -> str:
    """A ratio: 2.36x."""
    return NOTHING if value is None or not isfinite(value) else f"{value:.2f}x"


def mebibytes(size: int) -> str:
    """Bytes in MiB, which the column's name says; small files are not rounded away."""
    return f"{size / 2**20:.{1 if size >= 2**20 else 3}f}"


def duration(seconds: float) -> str:
    """A time that people wait: 42 s, 5 min 12 s, 1 h 4 min."""
    whole = round(seconds)
    if whole < 120:
        return f"{whole} s"
    if whole < 7200:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def counted(number: int, noun: str, plural: str | None = None) -> str:
    """`number` of `noun`: 1 block, 2 blocks."""
    return f"{number} {noun if number == 1 else plural or noun + 's'}"


def _signless_zero(text: str) -> str:
    return text.lstrip("+-") if float(text) == 0 else text


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
