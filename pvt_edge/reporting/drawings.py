"""Plots written as files, where matplotlib is."""

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from pvt_edge.reporting.canvas import STYLE

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from matplotlib.figure import Figure

Subject = TypeVar("Subject")


def has_matplotlib() -> bool:
    """Whether plots can be drawn here."""
    try:
        import matplotlib.figure  # noqa: F401 - more than the package's own name: a broken install fails here
    except ImportError:
        return False
    return True


def save_drawings(
    folder: Path, drawings: "Mapping[str, Callable[[Subject], Figure | None]]", subject: Subject
) -> tuple[str, ...]:
    """The names, relative to `folder`, of the plots that there is something to draw for, written to plots/ in it."""
    import matplotlib.style

    written = []
    with matplotlib.style.context(["default", STYLE]), warnings.catch_warnings():  # not a user's own matplotlibrc
        warnings.filterwarnings("ignore", "Glyph", UserWarning)  # a name in a script that the font lacks
        for name, draw in drawings.items():
            figure = draw(subject)
            if figure is not None:
                (folder / "plots").mkdir(exist_ok=True)  # no empty folder where nothing was timed
                figure.savefig(folder / "plots" / f"{name}.png")
                written.append(f"plots/{name}.png")
    return tuple(written)
