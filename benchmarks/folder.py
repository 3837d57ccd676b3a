"""What a benchmark leaves behind: a folder with the table, the figures, every sample and the plots."""

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

from pvt_edge.benchmarks.record import SCHEMA, STUDY_SCHEMA
from pvt_edge.benchmarks.report import page
from pvt_edge.bundle.swap import sibling, vacant
from pvt_edge.errors import DataError
from pvt_edge.reporting.drawings import has_matplotlib
from pvt_edge.whole_folder import write_whole

if TYPE_CHECKING:
    from pvt_edge.benchmarks.benchmark import Measured
    from pvt_edge.benchmarks.record import Study

RESULT, STUDY_RESULT = "benchmark.json", "study.json"
# What every result consists of, and the name of its schema: a folder with anything but these and plots is the user's.
_FILES = {RESULT: {RESULT, "benchmark.md", "samples.json"}, STUDY_RESULT: {STUDY_RESULT, "study.md"}}
_SCHEMAS = {RESULT: SCHEMA, STUDY_RESULT: STUDY_SCHEMA}


def check_folder(folder: Path, result: str = RESULT) -> None:
    """Raise `DataError` where something lies there that is no earlier result, and would be lost, or where nothing can
    be written: before anything is measured."""
    place = Path(os.path.realpath(folder))
    if place == Path.cwd():
        raise DataError(f"{folder} is the folder you stand in, and would be replaced: choose another with --out")
    if not vacant(place) and not _is_result(place, result):
        raise DataError(f"{folder} holds something that is no benchmark: choose another place with --out")
    trial = sibling(place, "tmp")
    try:
        trial.mkdir(parents=True)
        trial.rmdir()
    except OSError as error:
        raise DataError(f"cannot write {folder}: {error.strerror or error}: choose another place with --out") from error


def _is_result(folder: Path, result: str) -> bool:
    """Whether the folder is what an earlier run left, and nothing more."""
    if not folder.is_dir() or {path.name for path in folder.iterdir()} - {"plots"} != _FILES[result]:
        return False
    if any(path.suffix != ".png" for path in (folder / "plots").glob("*")):
        return False
    try:
        found = json.loads((folder / result).read_bytes())
    except (OSError, ValueError):
        return False
    return isinstance(found, dict) and found.get("schema_name") == _SCHEMAS[result]


def write_folder(folder: Path, measured: "Measured") -> bool:
    """Whether there are plots, after writing benchmark.json, benchmark.md, samples.json and plots/ to `folder`."""
    benchmark = measured.benchmark
    drawn = has_matplotlib()

    def write(place: Path) -> None:
        (place / RESULT).write_text(benchmark.model_dump_json(indent=2) + "\n", encoding="utf-8")
        (place / "samples.json").write_text(samples_json(measured.samples_ms), encoding="utf-8")
        plots = None
        if drawn:
            from pvt_edge.benchmarks.plots import draw_plots

            plots = draw_plots(place, measured)
        (place / "benchmark.md").write_text(page(benchmark, plots), encoding="utf-8")

    write_whole(folder, write)
    return drawn


def write_study(folder: Path, study: "Study") -> None:
    """Write study.json and study.md whole to `folder`."""
    from pvt_edge.benchmarks.study_table import study_page

    def write(place: Path) -> None:
        (place / STUDY_RESULT).write_text(study.model_dump_json(indent=2) + "\n", encoding="utf-8")
        (place / "study.md").write_text(study_page(study), encoding="utf-8")

    write_whole(folder, write)


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
