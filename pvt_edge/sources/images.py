"""Image files, one after the other."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pvt_edge.errors import DataError
from pvt_edge.pictures.pixel_depth import PixelMax
from pvt_edge.sources.page_warnings import PageWarnings, read_first
from pvt_edge.sources.picture import Page, Picture, open_picture
from pvt_edge.sources.picture_kind import is_picture_file
from pvt_edge.sources.source import Frame, Source

MAY_HOLD_SEVERAL = (".tif", ".tiff", ".gif", ".apng", ".mpo", ".webp", ".avif")  # hardly a .png: it counts as one


def read_image(path: str | Path, *, pixel_max: PixelMax = None) -> NDArray[np.uint8]:
    """The picture (H, W, 3) uint8 BGR of a file, turned as its EXIF says; grey and 16 bits become 8-bit BGR.

    Of several pages it is the first, with a `PictureWarning`. `pixel_max` is the value that is white where pixels
    have more than 8 bits: None for all of the bits, "auto" for the least usual depth that the picture fits in. Raises
    `DataError` for a file that is missing, empty, cut short, damaged or no image.
    """
    try:
        return read_first(open_picture(Path(path)), str(path), pixel_max)
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
            if picture is not None and picture.tiff is not None and picture.tiff.cut:
                self._skip(path, DataError(f"the TIFF file is cut short after page {picture.count}"))
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
