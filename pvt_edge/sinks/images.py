"""Annotated pictures as files."""

from pathlib import Path
from typing import TYPE_CHECKING

from pvt_edge.errors import DataError
from pvt_edge.picture_file import WRITABLE, write_image
from pvt_edge.sinks.place import check_place
from pvt_edge.sinks.sink import Sink
from pvt_edge.sources.source import VIDEO_SUFFIXES

if TYPE_CHECKING:
    from pvt_edge.results import Result


class ImageFolder(Sink):
    """One annotated JPEG per result, named after its picture, with the frame's number for a video's or camera's.

    Names of files that would meet get _1, _2 ...; the file a result came from is never written over. Raises
    `DataError` at once for a folder that cannot be written.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self.target = str(folder)
        self._used: set[str] = set()
        self._videos: dict[Path, str] = {}
        check_place(self.folder / "frame.jpg")

    def write(self, result: "Result") -> None:
        path = self.folder / f"{self._name(result)}.jpg"
        if result.path is not None and path.exists() and path.samefile(result.path):
            raise DataError(f"saving to {self.folder} would write over {result.path}; choose another folder")
        write_image(path, result.annotated)

    def _name(self, result: "Result") -> str:
        if result.path is None:  # nothing is remembered of these: a camera runs for weeks
            stream = f"stream{result.frame.stream.id}_" if result.frame.stream is not None else ""
            return f"{stream}frame_{result.frame.id:06d}"
        source = Path(result.path)
        if source.suffix.lower() not in VIDEO_SUFFIXES:
            return self._unused(source.stem)
        if source not in self._videos:
            self._videos[source] = self._unused(source.stem)
        return f"{self._videos[source]}_{result.frame.id:06d}"

    def _unused(self, stem: str) -> str:
        name, number = stem, 0
        while name.lower() in self._used:  # a file system may not tell A.jpg from a.jpg
            number += 1
            name = f"{stem}_{number}"
        self._used.add(name.lower())
        return name

    def close(self) -> None:
        pass

    def written(self) -> list[Path]:
        return [self.folder]


class ImageFile(Sink):
    """One annotated picture; `DataError` at a second result."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.target = str(path)
        self._written = False
        if self.path.suffix.lower() not in WRITABLE:
            raise DataError(f"cannot write {path}: the suffix must be one of {' '.join(WRITABLE)}")
        check_place(self.path)

    def write(self, result: "Result") -> None:
        if self._written:
            raise DataError(f"{self.path} holds one picture and there are more; save to a folder or a .mp4")
        if result.path is not None and self.path.exists() and self.path.samefile(result.path):
            raise DataError(f"saving to {self.path} would write over its source; choose another name")
        write_image(self.path, result.annotated)
        self._written = True

    def close(self) -> None:
        pass

    def written(self) -> list[Path]:
        return [self.path] if self._written else []
