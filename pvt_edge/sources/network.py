"""Streams from the network: RTSP cameras, MJPEG over HTTP, video files on a web server."""

import os
from typing import Any

from pvt_edge.sources.capture import CaptureSource, has_gstreamer
from pvt_edge.sources.credentials import redact
from pvt_edge.sources.diagnosis import why_not
from pvt_edge.sources.gstreamer import is_jetson, rtsp_pipeline
from pvt_edge.sources.options import SourceOptions


class NetworkStream(CaptureSource):
    """The stream at `address`, through FFMPEG; user and password in the address never show in `name`."""

    def __init__(self, address: str, options: SourceOptions) -> None:
        super().__init__(redact(address), options)
        self._address = address

    def _open(self) -> Any:
        import cv2

        # OpenCV reads this from the environment alone, at every opening of any source; it means nothing to others
        os.environ.setdefault("OPENCV_FFMPEG_CAPTURE_OPTIONS", f"rtsp_transport;{self.options.rtsp_transport}")
        timeout_ms = round(self.options.stall_s * 1e3)
        return cv2.VideoCapture(
            self._address,
            cv2.CAP_FFMPEG,
            [
                *(cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, timeout_ms),
                *(cv2.CAP_PROP_READ_TIMEOUT_MSEC, timeout_ms),
                *(cv2.CAP_PROP_N_THREADS, 1),  # each more would hold back one frame
            ],
        )

    def _why(self) -> str:
        return why_not(self._address, self.options.stall_s)


class RtspStream(NetworkStream):
    """An RTSP camera: decoded by a Jetson's video engine where OpenCV has GStreamer, else by FFMPEG."""

    def _open(self) -> Any:
        if not (is_jetson() and has_gstreamer()):
            return super()._open()
        import cv2

        capture = cv2.VideoCapture(rtsp_pipeline(self._address, self.options), cv2.CAP_GSTREAMER)
        capture.set(cv2.CAP_PROP_READ_TIMEOUT_MSEC, self.options.stall_s * 1e3)
        return capture


class HttpStream(NetworkStream):
    """MJPEG, or a file on a web server: `live` is False once the server has told the file's length."""

    def connect(self) -> None:
        import cv2

        super().connect()
        count = self._capture.get(cv2.CAP_PROP_FRAME_COUNT)
        if 0 < count < float("inf"):
            self.live, self.frame_count = False, int(count)
