"""The plots of a benchmark, drawn where matplotlib is."""

from pathlib import Path
from typing import TYPE_CHECKING

from pvt_edge.benchmarks import plot_accuracy, plot_latency, plot_layers
from pvt_edge.reporting.drawings import save_drawings

if TYPE_CHECKING:
    from pvt_edge.benchmarks.benchmark import Measured

_DRAWINGS = {"latency": plot_latency.draw, "accuracy": plot_accuracy.draw, "layers": plot_layers.draw}


def draw_plots(folder: Path, measured: "Measured") -> tuple[str, ...]:
    """The names, relative to `folder`, of the plots that there are figures for, written there."""
    return save_drawings(folder, _DRAWINGS, measured)
