"""The pictures of a video file through OpenCV, where PyAV is not installed."""

import os
import re
from collections import deque
from math import isfinite
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pvt_edge.errors import DataError
from pvt_edge.sources.capture import quiet_opencv
from pvt_edge.sources.video_clock import VideoClock
from pvt_edge.sources.video_reader import Shown

# FFMPEG 7.1: since then OpenCV cannot convert the pictures of interlaced video, and gives what lay in its memory.
SWSCALE_THAT_FAILS = 8
GET_PYAV = "pip install av"


class OpenCvReader:
    """As `VideoReader`. OpenCV says neither what is damaged nor whether it has written a picture.

    An OpenCV with an FFMPEG that fails on interlaced video is trusted only while each picture differs from the one
    before: an unwritten one is the same to the last bit. Else `DataError`, also in the middle of a video that stands
    still, where it may be wrong.
    """

    indexed = stopped_early = states_count = False
    damaged, damaged_s = 0, 0.0
    broken: str | None = None
    length_s: float | None = None
    interrupted_s: float | None = None

    def __init__(self, path: Path) -> None:
        import cv2

        quiet_opencv()
        name = os.path.abspath(path)
        self._capture = cv2.VideoCapture(name, cv2.CAP_FFMPEG)
        if not self._capture.isOpened() and "%" not in name:  # which others take for the number of a picture
            self._capture = cv2.VideoCapture(name)
        fps, count = self._capture.get(cv2.CAP_PROP_FPS), self._capture.get(cv2.CAP_PROP_FRAME_COUNT)
        self.fps = float(fps) if isfinite(fps) and 0 < fps <= 1000 else None
        self.frame_count = int(count) if isfinite(count) and count > 0 else None
        self._clock = VideoClock(self.fps, cut=False)
        self._doubtful = leaves_pictures_unwritten(cv2.getBuildInformation())
        self._last: NDArray[np.uint8] | None = None
        first = self._read()
        second = self._read() if first is not None else None  # before the first is given: it may be unwritten too
        if self._doubtful and first is not None and second is None:
            self._capture.release()
            raise DataError(f"of a single picture nobody can tell whether OpenCV has written it; {GET_PYAV}")
        self._waiting = deque([first, second])

    def read(self) -> Shown | None:
        """The next picture; None at the end. `DataError` for one that may not have been written."""
        return self._waiting.popleft() if self._waiting else self._read()

    def _read(self) -> Shown | None:
        import cv2

        found, image = self._capture.read()
        if not found:
            return None
        at_ms = self._capture.get(cv2.CAP_PROP_POS_MSEC)
        pixels = np.asarray(image, np.uint8)
        if self._doubtful and self._last is not None and np.array_equal(pixels, self._last):
            self._capture.release()
            raise DataError(
                "two pictures are the same to the last bit: OpenCV leaves those of interlaced video unwritten, and "
                f"without PyAV nobody can tell; {GET_PYAV}"
            )
        first, self._last = self._last is None, pixels
        return Shown(pixels, self._clock.at(at_ms / 1e3 if first or at_ms > 0 else None))

    def close(self) -> None:
        """Free the file; a second call does nothing."""
        self._capture.release()


def leaves_pictures_unwritten(build: str) -> bool:
    """Whether the OpenCV of this build information does so with interlaced video; True where it does not say.

    >>> leaves_pictures_unwritten("    swscale:   YES (5.9.100)")
    False
    """
    found = re.search(r"swscale:\s+YES \((\d+)\.", build)
    return found is None or int(found[1]) >= SWSCALE_THAT_FAILS
