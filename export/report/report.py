"""write_report: what an INT8 export measured, for people (report.md, plots/) and for programs (report.json)."""

import json
from pathlib import Path

from pvt_edge.bundle.schema import Manifest
from pvt_edge.export.precision.record import SearchRecord
from pvt_edge.export.report.facts import facts
from pvt_edge.export.report.page import page
from pvt_edge.export.report.plots import draw_plots, has_matplotlib


def write_report(folder: Path, manifest: Manifest, search: SearchRecord) -> tuple[str, ...]:
    """The names, relative to `folder`, of the files written there: report.json, report.md and plots/*.png.

    `manifest` is the bundle's, as it will be written. Without matplotlib there are no plots, and report.md says how
    to get them.
    """
    plots = draw_plots(folder, search) if has_matplotlib() else None
    content = json.dumps(facts(manifest, search), indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    (folder / "report.json").write_text(content, encoding="utf-8")
    (folder / "report.md").write_text(page(manifest, search, plots), encoding="utf-8")
    return ("report.json", "report.md", *(plots or ()))
