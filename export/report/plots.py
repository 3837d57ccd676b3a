"""The plots of a report."""

from pathlib import Path

from pvt_edge.export.precision.record import ApproximationRecord, SearchRecord
from pvt_edge.export.report import latency, layers, moves, pareto, sensitivity
from pvt_edge.reporting.drawings import save_drawings

_DRAWINGS = {"pareto": pareto.draw, "latency": latency.draw, "sensitivity": sensitivity.draw, "layers": layers.draw}


def draw_plots(folder: Path, search: SearchRecord) -> tuple[str, ...]:
    """The names, relative to `folder`, of the plots that `search` has figures for, written there."""
    return save_drawings(folder, _DRAWINGS, search)


def draw_moves(folder: Path, approximation: ApproximationRecord) -> tuple[str, ...]:
    """The name, relative to `folder`, of the plot of what each move loses and saves, where that was measured."""
    return save_drawings(folder, {"moves": moves.draw}, approximation)
