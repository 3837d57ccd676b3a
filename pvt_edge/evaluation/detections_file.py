"""An artifact's detections -> a file in COCO's results format, for pycocotools or any other evaluator."""

import json
from collections.abc import Sequence
from pathlib import Path

from pvt_edge.atomic import write_file
from pvt_edge.errors import DataError
from pvt_edge.metrics.average_precision import Row as Detection


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
