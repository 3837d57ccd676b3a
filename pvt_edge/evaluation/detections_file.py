"""An artifact's detections -> a file in COCO's results format, for pycocotools or any other evaluator."""

import json
from collections.abc import Sequence
from pathlib import Path

from pvt_edge.errors import DataError
from pvt_edge.metrics.average_precision import Row as Detection
from pvt_edge.whole_file import write_whole


def prepare_file(path: Path) -> Path:
    """The path, after making its folder, before the work whose result goes there. Raises `DataError`."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _refusal(path, error) from error
    if path.is_dir():
        raise DataError(f"cannot write {path}: it is a folder; give a file, such as {path / 'detections.json'}")
    return path


def name_of(path: Path, runtime: str, precision: str) -> Path:
    """The file of one artifact among several: "dets.json" becomes "dets.openvino-int8.json"."""
    return path.with_name(f"{path.stem}.{runtime}-{precision}{path.suffix}")


def write_detections(detections: Sequence[Detection], path: Path) -> Path:
    """The path, absolute, after writing the file whole. Raises `DataError` where it cannot be written."""
    try:
        write_whole(path, (json.dumps(detections) + "\n").encode())
    except OSError as error:
        raise _refusal(path, error) from error
    return path.resolve()


def _refusal(path: Path, error: OSError) -> DataError:
    return DataError(f"cannot write {path}: {error.strerror or error}: choose another place")
