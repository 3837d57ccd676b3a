"""Image files, one after the other."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pvt_edge.errors import DataError
from pvt_edge.sources.source import Frame, Source


def read_image(path: str | Path) -> NDArray[np.uint8]:
    """The picture (H, W, 3) uint8 BGR of a file, turned as its EXIF says; grey and 16 bits become 8-bit BGR.

    `DataError` for a file that is missing, empty, cut short or no image.
    """
    import cv2

    try:
        data = Path(path).read_bytes()  # not cv2.imread, which cannot open every path on Windows
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror or error}") from error
    if not data:
        raise DataError(f"cannot read {path}: the file is empty")
    if data[:2] == b"\xff\xd8" and not _jpeg_is_whole(data):
        raise DataError(f"cannot read {path}: the JPEG file is cut short")  # OpenCV would paint the rest grey
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error as error:  # a header that claims more pixels than OpenCV allows
        raise DataError(f"cannot read {path}: {error.err}") from error
    if image is None:
        raise DataError(f"cannot read {path}: not an image that OpenCV can decode, or a damaged one")
    return np.asarray(image, np.uint8)


def _jpeg_is_whole(data: bytes) -> bool:
    """Whether an end marker follows the start of scan; a thumbnail in a segment before has its own."""
    at = 2
    while at + 4 <= len(data) and data[at] == 0xFF:
        if data[at + 1] == 0xDA:
            return data.find(b"\xff\xd9", at) >= 0
        at += 1 if data[at + 1] == 0xFF else 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return False


class ImageFiles(Source):
    """Frames of image files in the order given. Those that cannot be read are named in `skipped`.

    `DataError` after the last one when none could be read.
    """

    def __init__(self, name: str, paths: Sequence[Path]) -> None:
        super().__init__(name)
        self.paths = tuple(paths)
        self.frame_count = len(self.paths)

    def __iter__(self) -> Iterator[Frame]:
        count = 0
        for path in self.paths:
            try:
                image = read_image(path)
            except DataError as error:
                self.skipped.append(str(error))
                continue
            yield Frame(image, count, path=str(path))
            count += 1
        if count == 0 and len(self.paths) == 1:
            raise DataError(self.skipped[-1])
        if count == 0 and self.paths:
            raise DataError(f"none of the {len(self.paths)} images of {self.name} can be read: {self.skipped[-1]}")
