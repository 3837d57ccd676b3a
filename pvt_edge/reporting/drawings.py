"""Plots written as files, where matplotlib is."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
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


@contextmanager
def own_style() -> Iterator[None]:
    """Draw in the look of `canvas`, whatever a user's own matplotlibrc says."""
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
