"""write_report: what an export measured, for people (report.md, plots/) and for programs (report.json)."""

import json
from pathlib import Path

from pvt_edge.bundle.schema import Manifest
from pvt_edge.export.precision.record import ApproximationRecord, SearchRecord, TensorRtRecord
from pvt_edge.export.report import bars, pareto
from pvt_edge.export.report.facts import facts
from pvt_edge.export.report.page import page
from pvt_edge.reporting.plots import has_matplotlib, save_drawings

_DRAWINGS = {
    "pareto": pareto.draw,
    "latency": bars.draw_latency,
    "sensitivity": bars.draw_sensitivity,
    "layers": bars.draw_layers,
}


def write_report(
    folder: Path,
    manifest: Manifest,
    search: SearchRecord | None,
    tensorrt: TensorRtRecord | None = None,
    approximation: ApproximationRecord | None = None,
) -> tuple[str, ...]:
    """The names, relative to `folder`, of the files written there: report.json, report.md and plots/*.png.

    Args:
        folder: The bundle's.
        manifest: As it will be written.
        search: What a search for the CPU measured.
        tensorrt: What was found out for TensorRT.
        approximation: How moves were chosen.

    Without matplotlib there are no plots, and report.md says how to get them.
    """
    plots = None
    if has_matplotlib() and (search or approximation):
        plots = draw_plots(folder, search) if search else ()
        plots += draw_moves(folder, approximation) if approximation else ()
    content = (
        json.dumps(facts(manifest, search, tensorrt, approximation), indent=2, ensure_ascii=False, allow_nan=False)
        + "\n"
    )
    (folder / "report.json").write_text(content, encoding="utf-8")
    (folder / "report.md").write_text(page(manifest, search, plots, tensorrt, approximation), encoding="utf-8")
    return ("report.json", "report.md", *(plots or ()))


def draw_plots(folder: Path, search: SearchRecord) -> tuple[str, ...]:
    """The names, relative to `folder`, of the plots that `search` has figures for, written there."""
    return save_drawings(folder, _DRAWINGS, search)


def draw_moves(folder: Path, approximation: ApproximationRecord) -> tuple[str, ...]:
    """The name, relative to `folder`, of the plot of what each move loses and saves, where that was measured."""
    return save_drawings(folder, {"moves": bars.draw_moves}, approximation)
