"""What a benchmark leaves behind: a folder with the table, the figures, every sample and the plots."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

from pvt_edge.atomic import OwnedFolder
from pvt_edge.benchmarks.record import SCHEMA, STUDY_SCHEMA
from pvt_edge.benchmarks.table import page
from pvt_edge.errors import DataError
from pvt_edge.reporting.plots import has_matplotlib, save_drawings

if TYPE_CHECKING:
    from pvt_edge.benchmarks.benchmark import Measured
    from pvt_edge.benchmarks.record import Study

RESULT, STUDY_RESULT = "benchmark.json", "study.json"
_SCHEMAS = {RESULT: SCHEMA, STUDY_RESULT: STUDY_SCHEMA}
_PLOTS = "plots"


def check_folder(folder: Path, result: str = RESULT) -> None:
    """Raise `DataError` where something lies there that is no earlier result, and would be lost, or where nothing can
    be written: before anything is measured."""
    _OWNED[result].check(folder)


def _owned(result: str, *others: str) -> OwnedFolder:
    def strays(folder: Path) -> list[str]:
        try:
            found = json.loads((folder / result).read_bytes())
        except (OSError, ValueError) as error:
            raise DataError(f"{result} cannot be read: {error}") from error
        if not isinstance(found, dict) or found.get("schema_name") != _SCHEMAS[result]:
            raise DataError(f"{result} is of another kind")
        names = {path.name for path in folder.iterdir()} - {_PLOTS, result, *others}
        return [*names, *(path.name for path in (folder / _PLOTS).glob("*") if path.suffix != ".png")]

    return OwnedFolder("benchmark", "a benchmark", (result, *others), strays)


_OWNED = {RESULT: _owned(RESULT, "benchmark.md", "samples.json"), STUDY_RESULT: _owned(STUDY_RESULT, "study.md")}


def write_folder(folder: Path, measured: "Measured") -> bool:
    """Whether there are plots, after writing benchmark.json, benchmark.md, samples.json and plots/ to `folder`."""
    benchmark = measured.benchmark
    drawn = has_matplotlib()

    def write(place: Path) -> None:
        (place / RESULT).write_text(benchmark.model_dump_json(indent=2) + "\n", encoding="utf-8")
        (place / "samples.json").write_text(samples_json(measured.samples_ms), encoding="utf-8")
        plots = draw_plots(place, measured) if drawn else None
        (place / "benchmark.md").write_text(page(benchmark, plots), encoding="utf-8")

    _OWNED[RESULT].replace(folder, write)
    return drawn


def draw_plots(folder: Path, measured: "Measured") -> tuple[str, ...]:
    """The names, relative to `folder`, of the plots that there are figures for, written there; needs matplotlib."""
    from pvt_edge.benchmarks import plots

    drawings = {
        "latency": plots.draw_latency,
        "accuracy": plots.draw_accuracy,
        "layers": plots.draw_layers,
    }
    return save_drawings(folder, drawings, measured)


def write_study(folder: Path, study: "Study") -> None:
    """Write study.json and study.md whole to `folder`."""
    from pvt_edge.benchmarks.study_table import study_page

    def write(place: Path) -> None:
        (place / STUDY_RESULT).write_text(study.model_dump_json(indent=2) + "\n", encoding="utf-8")
        (place / "study.md").write_text(study_page(study), encoding="utf-8")

    _OWNED[STUDY_RESULT].replace(folder, write)


def samples_json(samples_ms: dict[str, dict[str, list[float]]]) -> str:
    """Every sample in ms to a tenth of a microsecond, a line each list."""
    rounded = {
        row: {kind: [round(v, 4) for v in values] for kind, values in kinds.items()}
        for row, kinds in samples_ms.items()
    }
    lines = [
        f"  {json.dumps(row)}: {{\n"
        + ",\n".join(f"    {json.dumps(kind)}: {json.dumps(values)}" for kind, values in kinds.items())
        + "\n  }"
        for row, kinds in rounded.items()
    ]
    return "{\n" + ",\n".join(lines) + "\n}\n"
