"""The plots of a benchmark, drawn where matplotlib is."""

import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from pvt_edge.benchmarks import plot_accuracy, plot_latency, plot_layers
from pvt_edge.export.report.canvas import STYLE

if TYPE_CHECKING:
    from pvt_edge.benchmarks.benchmark import Measured

_DRAWINGS = {"latency": plot_latency.draw, "accuracy": plot_accuracy.draw, "layers": plot_layers.draw}


def draw_plots(folder: Path, measured: "Measured") -> tuple[str, ...]:
    """The names, relative to `folder`, of the plots that there are figures for, written there."""
    import matplotlib.style

    (folder / "plots").mkdir(exist_ok=True)
    written = []
    with matplotlib.style.context(["default", STYLE]), warnings.catch_warnings():  # not a user's own matplotlibrc
        warnings.filterwarnings("ignore", "Glyph", UserWarning)  # a name in a script that the font lacks
        for name, draw in _DRAWINGS.items():
            figure = draw(measured)
            if figure is not None:
                figure.savefig(folder / "plots" / f"{name}.png")
                written.append(f"plots/{name}.png")
    return tuple(written)
