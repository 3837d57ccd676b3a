"""Results as JSON lines, for machines."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from pvt_edge.errors import DataError
from pvt_edge.sinks.place import check_replaceable
from pvt_edge.sinks.sink import Sink

if TYPE_CHECKING:
    from pvt_edge.results import Result


class JsonLines(Sink):
    """One line per result, as `Result.to_json` gives it, in a file or, for "-", on standard output.

    A file that pvt-edge did not write is refused. Each line is flushed, so that a pipe or `tail -f` sees it at once.
    `BrokenPipeError` when who reads standard output has gone.
    """

    def __init__(self, path: str | Path) -> None:
        self.target = "standard output" if str(path) == "-" else str(path)
        self._owned = str(path) != "-"
        try:
            if self._owned:
                check_replaceable(Path(path))
                Path(path).parent.mkdir(parents=True, exist_ok=True)
            self._file = open(path, "w", encoding="utf-8") if self._owned else sys.stdout  # noqa: SIM115
        except OSError as error:
            raise DataError(f"cannot write {path}: {error.strerror or error}; choose another place") from error

    def write(self, result: "Result") -> None:
        try:
            self._file.write(result.to_json() + "\n")
            self._file.flush()
        except (OSError, ValueError) as error:  # a full disk, a closed pipe; ValueError: a closed file
            if isinstance(error, BrokenPipeError) and not self._owned:
                raise
            raise DataError(f"cannot write to {self.target}: {error}") from error

    def close(self) -> None:
        if not self._owned:
            return
        try:
            self._file.close()
        except OSError as error:
            raise DataError(f"cannot finish {self.target}: {error.strerror or error}") from error

    def written(self) -> list[Path]:
        return [Path(self.target)] if self._owned else []
