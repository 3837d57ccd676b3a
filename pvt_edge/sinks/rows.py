"""Results as rows: JSON lines for machines, CSV for spreadsheets and plots."""

import csv
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from pvt_edge.errors import DataError
from pvt_edge.sinks.place import check_replaceable, open_alone
from pvt_edge.sinks.sink import Sink

if TYPE_CHECKING:
    from pvt_edge.results import Result

COLUMNS = (
    *("stream", "source", "frame", "captured_at"),
    *("name", "class", "confidence", "x1", "y1", "x2", "y2", "track_id", "page", "video_s"),
    *("area", "pixels"),
)


class CsvRows(Sink):
    """A header, then a row for each thing found: a box, a picture's classes, whose corners stay empty, or a mask's
    classes with their "area", a share of the picture, and "pixels".

    A file that pvt-edge did not write, or that another run writes, is refused. Each result is flushed.
    """

    def __init__(self, path: str | Path) -> None:
        self.target = str(path)
        check_replaceable(Path(path))
        try:
            Path(path).parent.mkdir(parents=True, exist_ok=True)
            self._file = open_alone(Path(path), errors="backslashreplace", newline="")
        except OSError as error:
            raise DataError(f"cannot write {path}: {error.strerror or error}; choose another place") from error
        self._rows = csv.writer(self._file)
        self._rows.writerow(COLUMNS)

    def write(self, result: "Result") -> None:
        frame = result.frame
        stream = frame.stream
        source = result.path or (stream.source if stream is not None else "")
        try:
            for row in result.summary():
                box = row.get("box", {})
                self._rows.writerow(
                    [stream.id if stream is not None else "", source, frame.id, f"{frame.captured_at:.3f}"]
                    + [row.get(key, "") for key in ("name", "class", "confidence")]
                    + [box.get(side, "") for side in ("x1", "y1", "x2", "y2")]
                    + [row.get("track_id"), frame.page, "" if frame.video_s is None else f"{frame.video_s:.6f}"]
                    + [row.get(key, "") for key in ("area", "pixels")]
                )
            self._file.flush()
        except (OSError, ValueError) as error:  # ValueError: a closed file
            raise DataError(f"cannot write to {self.target}: {_reason(error)}") from error

    def close(self) -> None:
        try:
            self._file.close()
        except OSError as error:
            raise DataError(f"cannot finish {self.target}: {error.strerror or error}") from error

    def written(self) -> list[Path]:
        return [Path(self.target)]


class JsonLines(Sink):
    """One line per result, as `Result.to_json` gives it, in a file or, for "-", on standard output.

    A file that pvt-edge did not write, or that another run writes, is refused. Each line is flushed, so that a pipe or
    `tail -f` sees it at once.
    `BrokenPipeError` when who reads standard output has gone.
    """

    def __init__(self, path: str | Path) -> None:
        self.target = "standard output" if str(path) == "-" else str(path)
        self._owned = str(path) != "-"
        try:
            if self._owned:
                check_replaceable(Path(path))
                Path(path).parent.mkdir(parents=True, exist_ok=True)
            self._file = open_alone(Path(path)) if self._owned else sys.stdout
        except OSError as error:
            raise DataError(f"cannot write {path}: {error.strerror or error}; choose another place") from error
        if self._file is None:
            raise DataError(f"cannot write to {self.target}: it is closed; choose a file")

    def write(self, result: "Result") -> None:
        try:
            self._file.write(_encodable(result.to_json(), self._file.encoding) + "\n")
            self._file.flush()
        except (OSError, ValueError) as error:  # a full disk, a closed pipe; ValueError: a closed file
            if isinstance(error, BrokenPipeError) and not self._owned:
                raise
            raise DataError(f"cannot write to {self.target}: {_reason(error)}") from error

    def close(self) -> None:
        if not self._owned:
            return
        try:
            self._file.close()
        except OSError as error:
            raise DataError(f"cannot finish {self.target}: {error.strerror or error}") from error

    def written(self) -> list[Path]:
        return [Path(self.target)] if self._owned else []


def _reason(error: Exception) -> object:
    """The system's words without the number of the error."""
    return getattr(error, "strerror", None) or error


def _encodable(line: str, encoding: str | None) -> str:
    """The line of JSON, with escapes in place of letters where standard output is of an encoding that lacks some."""
    try:
        line.encode(encoding or "utf-8")
    except UnicodeEncodeError:
        return json.dumps(json.loads(line))
    return line
