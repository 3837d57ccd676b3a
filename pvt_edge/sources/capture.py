"""Cameras that OpenCV opens: on a USB port, in a laptop, or by a pipeline."""

import os
import sys
import threading
import time
from abc import abstractmethod
from glob import glob
from math import isfinite
from typing import Any

import numpy as np

from pvt_edge.errors import DataError
from pvt_edge.machine.installed import GET_JETPACKS, read_build
from pvt_edge.options.stream import SourceOptions
from pvt_edge.pictures.resizing import to_bgr
from pvt_edge.sources.decoding import terminal
from pvt_edge.sources.source import Frame, LiveSource

RELEASE_S = 1.0  # that a device stuck in a read is waited for, before it is left to the end of the process
ROUNDING = 0.5  # of a rate: drivers have 29.97 where 30 was asked for
MOST_BAD_FRAMES = 30  # in a row, before the source counts as lost
FOURCC = {"mjpg": "MJPG", "yuyv": "YUYV", "y16": "Y16 ", "h264": "H264", "h265": "HEVC"}


def quiet_opencv() -> None:
    """Keep OpenCV's libraries from writing to the terminal, addresses with passwords among it.

    What the user has set in the environment stays.
    """
    import cv2

    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")  # AV_LOG_QUIET; read at the first capture
    if "OPENCV_LOG_LEVEL" not in os.environ:
        with terminal:
            cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)


def has_gstreamer() -> bool:
    """Whether this OpenCV was built with GStreamer: JetPack's is, pip's wheels are not."""
    return "GStreamer" in read_build().backends


def require_gstreamer(name: str) -> None:
    """`DataError`, before anything opens, where `name` needs GStreamer and this OpenCV has none."""
    if not has_gstreamer():
        import cv2

        raise DataError(
            f"{name} needs an OpenCV with GStreamer, and OpenCV {cv2.__version__} here has none: on a Jetson, "
            f"{GET_JETPACKS}; elsewhere build it with WITH_GSTREAMER=ON"
        )


class CaptureSource(LiveSource):
    """A live source behind `cv2.VideoCapture`. `wh` is the size of its last frame."""

    def __init__(self, name: str, options: SourceOptions) -> None:
        super().__init__(name, options)
        self._capture: Any = None
        self._first: Frame | None = None
        self._count = 0
        self._busy = threading.RLock()  # a capture that is released while it reads takes the process down
        self.wh = (0, 0)

    @abstractmethod
    def _open(self) -> Any:
        """An open capture, or one that failed to open."""

    @abstractmethod
    def _why(self) -> str:
        """Why it could not be opened or gave no picture, and the mend, asked after the fact."""

    def connect(self) -> None:
        import cv2

        quiet_opencv()
        self.disconnect()
        try:
            self._capture = self._open()
            if self._capture.isOpened():
                fps = self._capture.get(cv2.CAP_PROP_FPS)
                self.fps = float(fps) if isfinite(fps) and 0 < fps <= 1000 else None
                self._first = self.read()
        except cv2.error:
            self._first = None
        if self._first is None:
            self.disconnect()
            raise DataError(f"cannot open {self.name}: {self._why()}")
        self.connected = True
        self._note_differences()

    def read(self) -> Frame | None:
        if self._first is not None:
            frame, self._first = self._first, None
            return frame
        import cv2

        with self._busy:
            began, bad = time.monotonic(), 0
            while self._capture is not None and bad < MOST_BAD_FRAMES:
                try:
                    grabbed = self._capture.grab()
                    at, tick = time.time(), time.perf_counter()
                    found, image = self._capture.retrieve() if grabbed else (False, None)
                except cv2.error:
                    found, image = False, None
                if found and image is not None and image.size:
                    self.decode_errors += bad
                    self.wh = (image.shape[1], image.shape[0])
                    self._count += 1
                    bgr = to_bgr(np.asarray(image), self.options.pixel_max)
                    return Frame(bgr, self._count - 1, at, tick=tick)
                bad += 1  # OpenCV says the same of a damaged picture and of a camera that is gone
                if time.monotonic() - began >= self.options.stall_s:
                    break
            return None

    def disconnect(self) -> None:
        self.connected, self._first = False, None
        if self._busy.acquire(timeout=RELEASE_S):
            try:
                if self._capture is not None:
                    self._capture.release()
                    self._capture = None
            finally:
                self._busy.release()

    def _note_differences(self) -> None:
        options, (width, height) = self.options, self.wh
        pairs = (
            (options.width, width, f"{width} pixels in width"),
            (options.height, height, f"{height} pixels in height"),
            (options.fps, self.fps, f"{self.fps or 0:g} fps"),
        )
        self.notes = [
            f"{self.name} gives {what}, not the {asked:g} asked for"
            for asked, given, what in pairs
            if asked is not None and given is not None and abs(given - asked) > ROUNDING
        ]


class Webcam(CaptureSource):
    """The camera `device`: a number, or a path such as /dev/video0 or /dev/v4l/by-id/..."""

    def __init__(self, device: int | str, options: SourceOptions) -> None:
        self.device = device
        self.path = f"/dev/video{device}" if isinstance(device, int) else device
        self._there = True
        super().__init__(f"camera {device}" if isinstance(device, int) else device, options)

    def _open(self) -> Any:
        import cv2

        if sys.platform == "linux":
            self._check_device()
            os.environ.setdefault("OPENCV_VIDEOIO_V4L_SELECT_TIMEOUT", str(max(1, round(self.options.stall_s))))
            capture = cv2.VideoCapture(self.device, cv2.CAP_V4L2)
        else:
            capture = cv2.VideoCapture(self.device)
        options = self.options
        if options.codec is not None:  # before the size: a camera's sizes depend on it
            capture.set(cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*FOURCC[options.codec.lower()]))
            if options.codec.lower() == "y16":
                capture.set(cv2.CAP_PROP_CONVERT_RGB, 0)  # OpenCV would keep the upper 8 bits, which may be unused
        for key, value in (
            (cv2.CAP_PROP_FRAME_WIDTH, options.width),
            (cv2.CAP_PROP_FRAME_HEIGHT, options.height),
            (cv2.CAP_PROP_FPS, options.fps),
        ):
            if value is not None:
                capture.set(key, value)
        capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)  # a queue in the driver would be lag
        return capture

    def _note_differences(self) -> None:
        import cv2

        super()._note_differences()
        asked = FOURCC[self.options.codec.lower()].strip() if self.options.codec is not None else ""
        given = int(self._capture.get(cv2.CAP_PROP_FOURCC)).to_bytes(4, "little", signed=True)
        sent = given.decode("ascii", "replace").strip(" \0")  # empty where the driver does not say
        if asked and sent and sent != asked:
            self.notes.append(f"{self.name} sends {sent}, not the {asked} asked for")

    def is_back(self) -> bool:
        was, self._there = self._there, os.access(self.path, os.R_OK | os.W_OK)
        return self._there and not was

    def _check_device(self) -> None:
        if not os.path.exists(self.path):
            found = sorted(glob("/dev/video*"))
            there = f"cameras here are {', '.join(found)}" if found else "no camera is connected"
            raise DataError(f"cannot open {self.name}: there is no {self.path}; {there}")
        if not os.access(self.path, os.R_OK | os.W_OK):
            raise DataError(
                f"cannot open {self.name}: no permission for {self.path}; try: sudo usermod -aG video $USER"
            )

    def _why(self) -> str:
        return "it gives no picture; another program may be using it (fuser -v shows which), or it lacks this format"
