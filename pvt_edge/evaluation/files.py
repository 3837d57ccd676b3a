"""What an evaluation leaves behind: plots and their numbers, and detections in COCO's results format."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pvt_edge.atomic import OwnedFolder, write_file
from pvt_edge.errors import DataError, RuntimeMissingError
from pvt_edge.evaluation.record import Evaluation, Row
from pvt_edge.metrics.average_precision import Row as Detection
from pvt_edge.reporting.plots import has_matplotlib, own_style

if TYPE_CHECKING:
    from collections.abc import Iterator

    from matplotlib.figure import Figure

NUMBERS = "val.json"


def prepare_files(path: Path, artifacts: Sequence[tuple[str, str]], data: Path) -> list[Path]:
    """The file of each artifact, (runtime, precision), before the work whose results go there: `path` of a single one.

    Makes their folder. Raises `DataError` where it cannot, and for a file that is a folder or the `data`.
    """
    paths = [name_of(path, *artifact) for artifact in artifacts] if len(artifacts) > 1 else [path]
    for file in paths:
        _prepare(file)
        refuse_data(file, data)
    return paths


def refuse_data(path: Path, data: Path) -> None:
    """Raise `DataError` where writing to `path` would overwrite the `data`, by this name or another."""
    try:
        same = path.samefile(data)
    except OSError:  # one of them is not there
        same = False
    if same:
        raise DataError(f"cannot write {path}: it is the data that is read, {data}: choose another place")


def _prepare(path: Path) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        folder = path.is_dir()
    except OSError as error:
        raise _refusal(path, error) from error
    if folder:
        raise DataError(f"cannot write {path}: it is a folder; give a file, such as {path / 'detections.json'}")


def name_of(path: Path, runtime: str, precision: str) -> Path:
    """The file of one artifact among several: "dets.json" becomes "dets.openvino-int8.json"."""
    return path.with_name(f"{path.stem}.{runtime}-{precision}{path.suffix}")


def write_detections(detections: Sequence[Detection], path: Path) -> Path:
    """The path, absolute, after writing the file whole. Raises `DataError` where it cannot be written."""
    try:
        write_file(path, (json.dumps(detections) + "\n").encode())
    except OSError as error:
        raise _refusal(path, error) from error
    return path.resolve()


def _refusal(path: Path, error: OSError) -> DataError:
    return DataError(f"cannot write {path}: {error.strerror or error}: choose another place")


def check_plots(folder: Path) -> None:
    """Raise an error before the work where its pictures could not be drawn or written to `folder` after it.

    `RuntimeMissingError` without matplotlib; `DataError` where something lies there that is not of an earlier `val`.
    """
    if not has_matplotlib():
        raise RuntimeMissingError('plots need matplotlib, which is not installed: pip install "pvt-edge[plots]"')
    _OWNED.check(folder)


def write_plots(folder: Path, evaluation: Evaluation) -> list[str]:
    """The names of the files written to `folder`: of each artifact confusion.png, precision_recall.png and f1.png, of
    several artifacts "confusion.openvino-int8.png" each, and val.json, the evaluation's `to_json`."""
    names = [NUMBERS]

    def write(place: Path) -> None:
        (place / NUMBERS).write_text(json.dumps(evaluation.to_json(), indent=2) + "\n", encoding="utf-8")
        with own_style():
            for row in evaluation.rows:
                suffix = f".{row.runtime}-{row.precision}" if len(evaluation.rows) > 1 else ""
                for name, figure in _figures(evaluation, row):
                    names.append(f"{name}{suffix}.png")
                    figure.savefig(place / names[-1])

    _OWNED.replace(folder, write)
    return names


def _figures(evaluation: Evaluation, row: Row) -> "Iterator[tuple[str, Figure]]":
    from pvt_edge.reporting.metric_plots import draw_confusion, draw_f1, draw_precision_recall

    subject = f"{evaluation.bundle.name}, {row.name}, {evaluation.pictures} pictures of {evaluation.data.name}"
    if row.confusion is not None:
        yield "confusion", draw_confusion(row.confusion, subject)
    if row.curves is not None:
        ap = "AP" if row.confusion is None or row.confusion.iou is None else "AP50"
        yield "precision_recall", draw_precision_recall(row.curves, subject, ap)
        yield "f1", draw_f1(row.curves, subject)


def _strays(folder: Path) -> list[str]:
    try:
        found = json.loads((folder / NUMBERS).read_bytes())
    except (OSError, ValueError) as error:
        raise DataError(f"{NUMBERS} cannot be read: {error}") from error
    if not isinstance(found, dict) or not {"bundle", "pictures_in_data", "rows"} <= set(found):
        raise DataError(f"{NUMBERS} is of another kind")
    ours = ("confusion.", "precision_recall.", "f1.")
    return [
        path.name
        for path in folder.iterdir()
        if path.name != NUMBERS and not (path.name.startswith(ours) and path.suffix == ".png")
    ]


_OWNED = OwnedFolder("val", "plots of val", (NUMBERS,), _strays, option="--plots")
