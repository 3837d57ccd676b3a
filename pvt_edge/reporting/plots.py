"""The plain look that all plots share, and plots written as files where matplotlib is."""

import textwrap
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DPI = 150
WIDTH_IN = 8.5
# Okabe and Ito's colours, which the colour-blind tell apart (jfly.uni-koeln.de/color)
BLACK, GREY, FAINT, SHADE = "#222222", "#767676", "#d9d9d9", "#eeeeee"
BLUE, GREEN, ORANGE, PINK, SKY, VERMILION = "#0072B2", "#009E73", "#E69F00", "#CC79A7", "#56B4E9", "#D55E00"
CHOSEN = VERMILION
COLOURS = {"fp32": BLACK, "bf16": GREEN, "fp16": GREEN, "approx": PINK, "int8": BLUE}  # of precisions
STYLE = {
    "axes.edgecolor": GREY,
    "axes.labelcolor": BLACK,
    "axes.labelsize": 11,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.axisbelow": True,
    "axes.formatter.useoffset": False,
    "font.size": 10.5,
    "grid.color": FAINT,
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "text.color": BLACK,
    "text.parse_math": False,  # a dollar in a name is a dollar
    "xtick.color": GREY,
    "ytick.color": GREY,
    "xtick.labelcolor": BLACK,
    "ytick.labelcolor": BLACK,
}
_TITLE_PT, _LINE_PT = 13.5, 9.5
_COLUMNS = 112  # characters of a line of `_LINE_PT` that WIDTH_IN holds
Subject = TypeVar("Subject")


def axes_below(title: str, line: str, height_in: float) -> "tuple[Figure, Axes]":
    """A figure with axes of `height_in`, below a title and a grey line, which is broken where too long."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    lines = textwrap.wrap(line, _COLUMNS, max_lines=3, placeholder=" …")
    title_in, head_in = 0.42, 0.5 + 0.18 * len(lines)
    figure = Figure(figsize=(WIDTH_IN, height_in + head_in), dpi=DPI)
    FigureCanvasAgg(figure)
    whole_in = height_in + head_in
    figure.set_layout_engine("constrained", rect=(0, 0, 1, 1 - head_in / whole_in), w_pad=0.12, h_pad=0.08)
    figure.text(0.12 / WIDTH_IN, 1 - 0.12 / whole_in, shorten(title, 75), size=_TITLE_PT, weight="bold", va="top")
    figure.text(
        0.12 / WIDTH_IN, 1 - title_in / whole_in, "\n".join(lines), size=_LINE_PT, color=GREY, va="top", linespacing=1.3
    )
    return figure, figure.add_subplot()


def bars_axes(axes: "Axes", names: list[str], *, longest: int = 36) -> None:
    """Make `axes` those of horizontal bars called `names`, the first on top, with lines along the values only."""
    axes.set_yticks(range(len(names)), [shorten(name, longest) for name in names])
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.grid(axis="x")


def legend_above(axes: "Axes") -> None:
    """The names of colours in a line above the axes, where no bar can reach."""
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), borderaxespad=0.2, ncol=6, handlelength=1, columnspacing=1.5)


def shorten(text: str, length: int) -> str:
    """`text` on one line of at most `length` characters: block names differ at both ends, so the middle goes."""
    line = " ".join(text.split())
    if len(line) <= length:
        return line
    tail = (length - 1) // 2
    return f"{line[: length - 1 - tail]}…{line[-tail:]}"


def has_matplotlib() -> bool:
    """Whether plots can be drawn here."""
    try:
        import matplotlib.figure  # noqa: F401 - more than the package's own name: a broken install fails here
    except ImportError:
        return False
    return True


@contextmanager
def own_style() -> Iterator[None]:
    """Draw in the look of this file, whatever a user's own matplotlibrc says."""
    import matplotlib.style

    with matplotlib.style.context(["default", STYLE]), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph", UserWarning)  # a name in a script that the font lacks
        yield


def save_drawings(
    folder: Path, drawings: "Mapping[str, Callable[[Subject], Figure | None]]", subject: Subject
) -> tuple[str, ...]:
    """The names, relative to `folder`, of the plots that there is something to draw for, written to plots/ in it."""
    written = []
    with own_style():
        for name, draw in drawings.items():
            figure = draw(subject)
            if figure is not None:
                (folder / "plots").mkdir(exist_ok=True)  # no empty folder where nothing was timed
                figure.savefig(folder / "plots" / f"{name}.png")
                written.append(f"plots/{name}.png")
    return tuple(written)
