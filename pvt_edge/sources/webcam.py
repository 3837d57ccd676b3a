"""A camera on a USB port or in a laptop."""

import os
import sys
from glob import glob
from typing import Any

from pvt_edge.errors import DataError
from pvt_edge.options.source import SourceOptions
from pvt_edge.sources.capture import CaptureSource

FOURCC = {"mjpg": "MJPG", "yuyv": "YUYV", "y16": "Y16 ", "h264": "H264", "h265": "HEVC"}


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
