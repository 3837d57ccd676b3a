"""A video file, frame by frame."""

from collections.abc import Iterator
from math import isfinite
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pvt_edge.errors import DataError
from pvt_edge.sources.capture import quiet_opencv
from pvt_edge.sources.source import Frame, Source

# A container's frame count is its duration times its rate, so it may be off by a few frames.
COUNT_TOLERANCE = 0.02


class VideoFile(Source):
    """Frames of a video file. `DataError` when the file is empty, cut short too early or no video.

    A file that ends before the frames it promises says so in `skipped`.
    """

    def __init__(self, path: Path) -> None:
        import cv2

        super().__init__(str(path))
        quiet_opencv()
        if path.stat().st_size == 0:
            raise DataError(f"cannot read {path}: the file is empty")
        self._capture = cv2.VideoCapture(str(path))
        found, first = self._capture.read()
        self._first: NDArray[np.uint8] | None = np.asarray(first, np.uint8) if found else None
        if self._first is None:
            self._capture.release()
            raise DataError(
                f"cannot read {path} as a video: it is damaged, was not written to its end, or needs a codec "
                "that this OpenCV lacks; try: ffmpeg -i IN -c:v libx264 OUT.mp4"
            )
        fps, count = self._capture.get(cv2.CAP_PROP_FPS), self._capture.get(cv2.CAP_PROP_FRAME_COUNT)
        self.fps = float(fps) if isfinite(fps) and fps > 0 else None
        self.frame_count = int(count) if isfinite(count) and count > 0 else None

    def __iter__(self) -> Iterator[Frame]:
        image, self._first = self._first, None
        number = 0
        while image is not None:
            yield Frame(image, number, path=self.name, fps=self.fps)
            number += 1
            found, following = self._capture.read()
            image = np.asarray(following, np.uint8) if found else None
        promised = self.frame_count or 0
        if number < promised - max(2, COUNT_TOLERANCE * promised):
            self.skipped.append(f"{self.name}: ends after {number} of {promised} frames; the file is cut short")

    def close(self) -> None:
        self._capture.release()
