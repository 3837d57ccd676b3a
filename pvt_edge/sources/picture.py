"""A picture file and its pages: of a TIFF stack, an animation, a stereo camera; and what is to be told of them."""

import os
import stat
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pvt_edge.errors import DataError, PictureWarning
from pvt_edge.pictures.resizing import LOW, PixelMax, nearest_depth, to_8_bits, to_bgr
from pvt_edge.sources.decoding import decode, decoded
from pvt_edge.sources.pages import TiffPages, find_pages, find_views, is_animated_png, is_whole_png
from pvt_edge.sources.picture_kind import HEAD_BYTES, VIDEO_AMONG_PICTURES, picture_kind, why_unreadable
from pvt_edge.sources.source import VIDEO_SUFFIXES

TOGETHER_BYTES = 64 << 20  # of an animation's frames that are decoded at once
WEBP_MOVES = 0x02  # a flag of its header; the animation's own chunk may lie far behind, after a colour profile
READABLE = ("JPEG", "PNG", "GIF", "TIFF", "WebP", "AVIF", "BMP", "JPEG 2000", "PNM")


@dataclass(frozen=True, eq=False)
class Page:
    """A page (H, W, 3) uint8 BGR; `number` from 1 where there are several, else None.

    `highest` is the greatest value of its pixels where they had more than 8 bits; `oddity` what is wrong with it
    though it was read.
    """

    image: NDArray[np.uint8]
    number: int | None = None
    highest: float | None = None
    oddity: str | None = None


@dataclass(frozen=True, eq=False)
class Picture:
    """A picture file in memory, or for a TIFF mapped to it; `count` of its pages, `fps` of an animation."""

    data: NDArray[np.uint8]
    kind: str | None
    count: int = 1
    fps: float | None = None
    tiff: TiffPages | None = None
    views: tuple[tuple[int, int], ...] = field(default=())

    @property
    def animated(self) -> bool:
        return self.count > 1 and self.tiff is None and not self.views

    def read(self, index: int = 0, pixel_max: PixelMax = None) -> Page:
        """The page `index`, from 0. Raises `DataError` for one that is damaged or not to be decoded."""
        if self.animated:
            frames = _frames(self.data, index, 1)
            if not frames:
                raise DataError(f"frame {index + 1} of {self.count} cannot be decoded")
            return Page(to_bgr(frames[0]), index + 1)
        data = self.data
        if self.tiff is not None:
            self.tiff.point_at(self.data, index)
        elif self.views and index:
            begin, end = self.views[index - 1]
            data = self.data[begin:end]
        pixels, oddity = decode(data)
        highest = float(pixels.max()) if pixels.dtype != np.uint8 else None
        number = index + 1 if self.count > 1 else None
        return Page(to_bgr(to_8_bits(pixels, pixel_max)), number, highest, oddity)

    def pages(self, pixel_max: PixelMax = None) -> Iterator[Page | DataError]:
        """All pages in order, and for one that cannot be read, or is promised and not there, why; few are in memory at
        a time.
        """
        index = 0
        while index < self.count:
            try:
                if self.animated:  # a frame is painted over the one before: going on is cheaper than beginning anew
                    frames = _frames(self.data, index, min(_most_together(self.data), self.count - index))
                    if not frames:
                        raise DataError(f"frame {index + 1} of {self.count} cannot be decoded")
                    for frame in frames:
                        index += 1
                        yield Page(to_bgr(frame), index)
                    continue
                yield self.read(index, pixel_max)
            except DataError as error:
                yield error
                if self.animated:
                    return
            index += 1
        if self.tiff is not None and self.tiff.cut:
            yield DataError(f"the TIFF file is cut short after page {self.count}")


def decodes_animations() -> bool:
    """Whether this OpenCV gives the frames of a GIF, WebP, APNG or AVIF: from 4.11 on."""
    import cv2

    return hasattr(cv2, "imdecodeanimation")


def open_picture(source: Path | bytes) -> Picture:
    """The picture of a file or of a file's bytes. Errors are `DataError`s without its name."""
    if isinstance(source, bytes):
        return _picture(np.frombuffer(bytearray(source), np.uint8), "", None)  # a TIFF's pages are written to it
    try:
        mode = os.stat(source).st_mode
        if not stat.S_ISREG(mode):
            raise DataError("it is a folder" if stat.S_ISDIR(mode) else "it is no file, but a pipe or a device")
        with source.open("rb") as file:
            kind = picture_kind(file.read(HEAD_BYTES))
        if kind == "TIFF":  # a stack may be larger than the memory; what is written there stays off the disk
            return _picture(np.asarray(np.memmap(source, np.uint8, mode="c")), source.suffix, source)
        data = np.frombuffer(source.read_bytes(), np.uint8)  # not cv2.imread, which cannot open every path on Windows
    except OSError as error:
        gone = "a link to a file that is not there" if os.path.islink(source) else error.strerror or str(error)
        raise DataError(gone) from error
    return _picture(data, source.suffix, source)


def _picture(data: NDArray[np.uint8], suffix: str, path: Path | None) -> Picture:
    if len(data) == 0:
        raise DataError("the file is empty")
    head = data[:HEAD_BYTES].tobytes()
    kind = picture_kind(head, suffix)
    if kind is None and suffix.lower() in VIDEO_SUFFIXES:
        raise DataError(VIDEO_AMONG_PICTURES)
    if kind == "TIFF":
        tiff = find_pages(data)
        if not tiff.offsets:
            raise DataError("the TIFF file is cut short")
        return Picture(data, kind, len(tiff.offsets), tiff=tiff)
    if kind == "JPEG":
        views = tuple(find_views(data.tobytes()))
        return Picture(data, kind, 1 + len(views), views=views)
    if kind == "PNG" and is_animated_png(data) and not is_whole_png(data):  # which takes OpenCV 5.0 down
        raise DataError("the PNG file is damaged (of an animation a checksum is wrong, or its end is not there)")
    if _may_move(kind, head, data):
        return _animation(data, kind, path)
    if kind is not None and kind not in READABLE:
        raise DataError(why_unreadable(kind))
    return Picture(data, kind)


def _may_move(kind: str | None, head: bytes, data: NDArray[np.uint8]) -> bool:
    if kind == "PNG":
        return is_animated_png(data)
    if kind == "WebP":
        return head[12:16] == b"VP8X" and len(head) > 20 and bool(head[20] & WEBP_MOVES)
    return kind == "GIF" or (kind == "AVIF" and head[8:12] == b"avis")


def _animation(data: NDArray[np.uint8], kind: str | None, path: Path | None) -> Picture:
    import cv2

    if not decodes_animations():
        return Picture(data, kind)
    if path is not None and str(path).isascii():  # others OpenCV cannot open on Windows, and those of no text nowhere
        count, _ = decoded(lambda: cv2.imcount(str(path)))
    else:
        count = _count_frames(data)
    (_, first), _ = decoded(lambda: cv2.imdecodeanimation(data, start=0, count=1))
    shown_ms = float(np.asarray(first.durations).ravel()[0]) if len(first.durations) else 0.0
    return Picture(data, kind, max(1, count), 1e3 / shown_ms if shown_ms > 0 else None)


def _most_together(data: NDArray[np.uint8]) -> int:
    first = _frames(data, 0, 1)
    return max(1, TOGETHER_BYTES // first[0].nbytes) if first else 1


def _count_frames(data: NDArray[np.uint8]) -> int:
    most, count = _most_together(data), 0
    while found := len(_frames(data, count, most)):
        count += found
        if found < most:
            break
    return count


def _frames(data: NDArray[np.uint8], start: int, count: int) -> list[NDArray[Any]]:
    import cv2

    (found, animation), _ = decoded(lambda: cv2.imdecodeanimation(data, start=start, count=count))
    return [np.asarray(frame) for frame in animation.frames] if found else []


class PageWarnings:
    """Gives a `PictureWarning` of each page that is odd, and at the end one of pixels of 16 bits that leave the upper
    bits unused, unless `pixel_max` says what is white.
    """

    def __init__(self, pixel_max: PixelMax) -> None:
        self._tells_depth = pixel_max is None
        self._deep, self._dark, self._highest = 0, 0, 0.0  # pages of 16 bits; those whose upper bits are unused

    def see(self, page: Page, path: str) -> None:
        """Take a page of the picture at `path`."""
        if page.oddity is not None:
            _warn(f"{path}: {page.oddity}")
        if page.highest is not None:
            self._deep += 1
            if page.highest <= LOW:
                self._dark, self._highest = self._dark + 1, max(self._highest, page.highest)

    def end(self, name: str) -> None:
        """All pages of the source of that name were seen."""
        if self._tells_depth and self._dark and self._highest > 0:
            depth = nearest_depth(max(self._highest, 255))
            some = f"in {self._dark} of {self._deep} pictures pixels"
            _warn(
                f"{name}: {'pixels' if self._dark == self._deep else some} of 16 bits go no higher than "
                f"{self._highest:g}, so they are dark: say which value is white with --pixel-max {depth} "
                f"(pixel_max={depth})"
            )


def read_first(picture: Picture, name: str, pixel_max: PixelMax) -> NDArray[np.uint8]:
    """The first page (H, W, 3), with a `PictureWarning` of what is odd with it, and where there are more.

    Raises `DataError` as `Picture.read`.
    """
    page, page_warnings = picture.read(0, pixel_max), PageWarnings(pixel_max)
    if picture.count > 1:
        _warn(f"{name}: of {picture.count} pages only the first is used")
    page_warnings.see(page, name)
    page_warnings.end(name)
    return page.image


def _warn(text: str) -> None:
    warnings.warn(text, PictureWarning, stacklevel=3)
