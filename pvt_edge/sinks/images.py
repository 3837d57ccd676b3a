"""Annotated pictures, and masks, as files."""

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from pvt_edge.errors import DataError
from pvt_edge.pictures.files import WRITABLE, write_image
from pvt_edge.sinks.place import check_apart, check_folder, check_place
from pvt_edge.sinks.sink import Sink
from pvt_edge.sources.source import VIDEO_SUFFIXES

if TYPE_CHECKING:
    from pvt_edge.results import Result

NUMBER = re.compile(r"(?:_\d{6,}|-p\d{4,})$")  # of a frame or page, behind the name of its file
LONGEST_STEM_BYTES = 200  # a file system allows names of 255, and numbers and the suffix come behind


class ImageFolder(Sink):
    """One annotated JPEG a result, named after its picture, with the page's number for a stack's or an animation's
    and the frame's for a video's or camera's.

    Names of files that would meet get _1, _2 ...; a file that pvt-edge did not write is never written over. Raises
    `DataError` at once for a folder that cannot be written.
    """

    suffix = ".jpg"

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self.target = str(folder)
        self._used: set[str] = set()  # names, in small letters: a file system may not tell A.jpg from a.jpg
        self._before_numbers: set[str] = set()  # of single pictures that end in a number like a frame's
        self._several: dict[str, str] = {}  # of sources that give several pictures
        self._count = 0
        check_folder(self.folder)

    def write(self, result: "Result") -> None:
        path = self.folder / f"{self._name(result)}{self.suffix}"
        check_apart(path, result)
        self._save(path, result)
        self._count += 1

    def _save(self, path: Path, result: "Result") -> None:
        write_image(path, result.annotated)

    def _name(self, result: "Result") -> str:
        frame = result.frame
        if result.path is None:  # nothing is remembered of these: a camera runs for weeks
            stream = f"stream{frame.stream.id}_" if frame.stream is not None else ""
            return f"{stream}frame_{frame.id:06d}"
        source = Path(result.path)
        stem = source.stem
        if len(os.fsencode(stem)) > LONGEST_STEM_BYTES:
            stem = os.fsencode(stem)[:LONGEST_STEM_BYTES].decode(errors="ignore")
        number = f"_{frame.id:06d}" if source.suffix.lower() in VIDEO_SUFFIXES else ""
        number = f"-p{frame.page:04d}" if frame.page is not None else number
        if not number:
            name = self._unused(stem, numbered=False)
            self._before_numbers.add(NUMBER.sub("", name.lower()))
            return name
        if result.path not in self._several:
            self._several[result.path] = self._unused(stem, numbered=True)
        return f"{self._several[result.path]}{number}"

    def _unused(self, stem: str, *, numbered: bool) -> str:
        name, number = stem, 0
        while self._meets(name.lower(), numbered=numbered):
            number += 1
            name = f"{stem}_{number}"
        self._used.add(name.lower())
        return name

    def _meets(self, name: str, *, numbered: bool) -> bool:
        """Whether a picture of that name, or one of those `numbered` behind it, may be there."""
        if numbered:
            return name in self._used or name in self._before_numbers
        before = NUMBER.sub("", name)
        return name in self._used or (before != name and before in map(str.lower, self._several.values()))

    def close(self) -> None:
        pass

    def written(self) -> list[Path]:
        return [self.folder] if self._count else []


class MaskFolder(ImageFolder):
    """One PNG of class ids with a palette a result, named as the annotated pictures are."""

    suffix = ".png"

    def _save(self, path: Path, result: "Result") -> None:
        result.save_mask(path)


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
        check_apart(self.path, result)
        write_image(self.path, result.annotated)
        self._written = True

    def close(self) -> None:
        pass

    def written(self) -> list[Path]:
        return [self.path] if self._written else []
