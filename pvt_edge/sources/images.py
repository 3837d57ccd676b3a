"""Image files, one after the other, and what is there of the file, folder or pattern that the user wrote."""

import os
from collections.abc import Iterable, Iterator, Sequence
from difflib import get_close_matches
from glob import escape, glob, has_magic
from pathlib import Path
from unicodedata import normalize

import numpy as np
from numpy.typing import NDArray

from pvt_edge.errors import DataError
from pvt_edge.pictures.resizing import PixelMax
from pvt_edge.sources.picture import Page, PageWarnings, Picture, open_picture, read_first
from pvt_edge.sources.picture_kind import is_picture_file
from pvt_edge.sources.source import Frame, Source

NEAR = 0.75  # how alike a name must be to be suggested
MAY_HOLD_SEVERAL = (".tif", ".tiff", ".gif", ".apng", ".mpo", ".webp", ".avif")  # hardly a .png: it counts as one


def find_path(spec: str | Path) -> Path | None:
    """The file or folder `spec`; ~ is the home folder, and letters with accents may be written in either way.

    None where nothing is there.
    """
    for text in (str(spec), os.path.expanduser(spec)):
        for form in (text, normalize("NFC", text), normalize("NFD", text)):
            if os.path.lexists(form):  # unlike Path's own, no error for a name too long for any file
                return Path(form)
    return None


def match_pattern(spec: str | Path) -> list[Path] | None:
    """All that matches the pattern, in order; None for what is no pattern.

    Folders at its beginning that are there under the very name are taken so: 'a [1]/*.jpg' looks into 'a [1]'.
    """
    text = os.path.expanduser(spec)
    if not has_magic(text):
        return None
    parts, base = Path(text).parts, Path()
    for used, part in enumerate(parts):
        inside = find_path(base / part)
        if inside is None:
            rest = os.path.join(*parts[used:])
            forms = {rest, normalize("NFC", rest), normalize("NFD", rest)}
            patterns = [os.path.join(escape(str(base)), form) for form in forms]
            return sorted({Path(name) for pattern in patterns for name in glob(pattern, recursive=True)})
        base = inside
    return [base]


def nearest(path: Path) -> Path | None:
    """What is there of a name like `path`, of the same suffix; or of its first folder that is missing."""
    while not os.path.isdir(path.absolute().parent):
        path = path.parent
    try:
        beside = [name for name in os.listdir(path.absolute().parent) if not name.startswith(".")]
    except OSError:
        return None
    alike = [name for name in beside if _same_suffix(path.suffix, Path(name).suffix)]
    near = get_close_matches(path.name, alike, n=1, cutoff=NEAR)
    return path.with_name(near[0]) if near else None


def _same_suffix(given: str, there: str) -> bool:
    """Whether one may be a slip of the other: .jgp of .jpg, .jpeg of .jpg, but not .png."""
    given, there = given.lower(), there.lower()
    return given == there or sorted(given) == sorted(there) or {given, there} in ({".jpg", ".jpeg"}, {".tif", ".tiff"})


def read_image(path: str | Path, *, pixel_max: PixelMax = None) -> NDArray[np.uint8]:
    """The picture (H, W, 3) uint8 BGR of a file, turned as its EXIF says; grey and 16 bits become 8-bit BGR.

    Of several pages it is the first, with a `PictureWarning`. `pixel_max` is the value that is white where pixels
    have more than 8 bits: None for all of the bits, "auto" for the least usual depth that the picture fits in. Raises
    `DataError` for a file that is missing, empty, cut short, damaged or no image.
    """
    try:
        return read_first(open_picture(find_path(path) or Path(path)), str(path), pixel_max)
    except DataError as error:
        raise DataError(f"cannot read {path}: {error}") from error


def list_pictures(folder: Path) -> list[Path]:
    """The pictures of a folder in order of name, not of its sub-folders, and what cannot be read but seems to be one.

    Hidden files and what is no picture are left out. Raises `OSError` where it cannot be listed.
    """
    return sorted(path for path in folder.iterdir() if not path.name.startswith(".") and is_picture_file(path))


class ImageFiles(Source):
    """Frames of image files in the order given, one a page. Those that cannot be read are named in `skipped`.

    `DataError` after the last one when none could be read. `pixel_max` as for `read_image`.
    """

    def __init__(self, name: str, paths: Sequence[Path], *, pixel_max: PixelMax = None) -> None:
        super().__init__(name)
        self.paths, self.pixel_max = tuple(paths), pixel_max
        self.frame_count = None if any(path.suffix.lower() in MAY_HOLD_SEVERAL for path in paths) else len(self.paths)
        self._warnings = PageWarnings(pixel_max)
        if len(self.paths) == 1 and (picture := self._open(self.paths[0])) is not None:
            self.frame_count, self.fps = picture.count, picture.fps
        self.skipped.clear()  # it will be told when it is read

    def __iter__(self) -> Iterator[Frame]:
        count = 0
        for path in self.paths:
            picture = self._open(path)
            for page in picture.pages(self.pixel_max) if picture is not None else ():
                if isinstance(page, DataError):
                    self._skip(path, page)
                else:
                    yield self._frame(page, count, path)
                    count += 1
        self._warnings.end(self.name)
        if count == 0 and len(self.paths) == 1:
            raise DataError(self.skipped[-1])
        if count == 0 and self.paths:
            raise DataError(f"none of the {len(self.paths)} images of {self.name} can be read: {self.skipped[-1]}")

    def drawn(self, order: Iterable[int]) -> Iterator[Frame]:
        """The pictures in an order of one's own: the first page of each file, then the second of those that have one.

        A frame's `id` is the file's place in `paths`, counted on for later pages.
        """
        left, index = list(order), 0
        while left:
            more = []
            for i in left:
                picture = self._open(self.paths[i])
                if picture is None:
                    continue
                if index + 1 < picture.count:
                    more.append(i)
                try:
                    page = picture.read(index, self.pixel_max)
                except DataError as error:
                    self._skip(self.paths[i], error)
                else:
                    yield self._frame(page, i + index * len(self.paths), self.paths[i])
            left, index = more, index + 1
        self._warnings.end(self.name)

    def _open(self, path: Path) -> Picture | None:
        try:
            return open_picture(path)
        except DataError as error:
            self._skip(path, error)
            return None

    def _skip(self, path: Path, error: DataError) -> None:
        self.skipped.append(f"cannot read {path}: {error}")

    def _frame(self, page: Page, number: int, path: Path) -> Frame:
        self._warnings.see(page, str(path))
        return Frame(page.image, number, path=str(path), page=page.number)
