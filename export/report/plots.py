"""The plots of a report."""

from pathlib import Path

from pvt_edge.export.precision.record import SearchRecord
from pvt_edge.export.report import latency, layers, pareto, sensitivity
from pvt_edge.reporting.drawings import save_drawings

_DRAWINGS = {"pareto": pareto.draw, "latency": latency.draw, "sensitivity": sensitivity.draw, "layers": layers.draw}


def draw_plots(folder: Path, search: SearchRecord) -> tuple[str, ...]:
    """The names, relative to `folder`, of the plots that `search` has figures for, written there."""
    return save_drawings(folder, _DRAWINGS, search)
