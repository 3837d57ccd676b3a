"""A video file, frame by frame: through PyAV, or through OpenCV where PyAV is not installed."""

import os
import re
from collections import deque
from collections.abc import Iterator
from math import isfinite
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pvt_edge.errors import DataError
from pvt_edge.sources.capture import quiet_opencv
from pvt_edge.sources.source import Frame, Source
from pvt_edge.sources.video_faults import fault_lines, is_cut_short
from pvt_edge.sources.video_frames import VideoClock
from pvt_edge.sources.video_reader import Shown, VideoReader, open_reader

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


class VideoFile(Source):
    """Frames of a video file, each with its time in the video (`Frame.video_s`).

    Pictures are as stored: fields of interlaced video woven, pixels not stretched to squares; turned as the file says.
    Read through PyAV; where that is not installed through OpenCV, which is refused where it may not have written a
    picture. `DataError` when the file is empty, cut short too early or no video. What was damaged and left out, and
    a file that is cut short, are named in `skipped`. `frame_count` is about where the file has no index.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(str(path))
        if path.stat().st_size == 0:
            raise DataError(f"cannot read {path}: the file is empty")
        self._path = path
        try:
            self._reader = _open_reader(path)
        except DataError as error:
            raise DataError(f"cannot read {path} as a video: {error}") from error
        self.fps, self.frame_count = self._reader.fps, self._reader.frame_count
        self._first = self._reader.read()
        if self._first is None:
            self._reader.close()
            why = self._reader.broken or (f"{self._reader.damaged} are damaged" if self._reader.damaged else "")
            raise DataError(
                f"cannot read {path} as a video: it holds no picture that can be decoded{f' ({why})' if why else ''}; "
                "it is damaged, was not written to its end, or needs another codec; try: "
                "ffmpeg -i IN -c:v libx264 OUT.mp4"
            )

    def __iter__(self) -> Iterator[Frame]:
        shown, self._first = self._first, None
        if shown is None:
            return
        count, last_s = 0, 0.0
        while shown is not None:
            self.decode_errors = self._reader.damaged
            number = count + self.decode_errors  # what was left out has used up its number
            yield Frame(shown.image, number, path=self.name, video_s=shown.video_s)
            count, last_s = count + 1, shown.video_s
            shown = self._reader.read()
        self.decode_errors = self._reader.damaged
        self.skipped += fault_lines(self.name, self._reader, count, last_s, cut=is_cut_short(self._path))

    def close(self) -> None:
        self._reader.close()


def _open_reader(path: Path) -> VideoReader | OpenCvReader:
    try:
        import av  # noqa: F401 - asked before anything opens
    except ImportError:
        return OpenCvReader(path)
    return open_reader(path)
