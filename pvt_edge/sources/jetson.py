"""An RTSP camera decoded by a Jetson's video engine."""

from typing import Any

from pvt_edge.credentials import redact
from pvt_edge.errors import DataError
from pvt_edge.machine.jetson import is_jetson
from pvt_edge.machine.opencv_build import GET_JETPACKS
from pvt_edge.options.source import SourceOptions
from pvt_edge.sources.capture import CaptureSource, has_gstreamer
from pvt_edge.sources.diagnosis import why_not
from pvt_edge.sources.gstreamer import rtsp_pipeline
from pvt_edge.sources.live import LiveSource
from pvt_edge.sources.network import RtspStream
from pvt_edge.sources.port import Port


class JetsonStream(CaptureSource):
    """The RTSP stream at `address`, through GStreamer; its password never shows in `name` or an error."""

    def __init__(self, address: str, options: SourceOptions) -> None:
        super().__init__(redact(address), options)
        self._address, self._port = address, Port(address)
        self._pipeline = rtsp_pipeline(address, options)

    def connect(self) -> None:
        self._port.forget()
        try:
            super().connect()
        except DataError:
            self._port.is_back()  # the first look, to which those while it is waited for compare
            raise

    def is_back(self) -> bool:
        return self._port.is_back()

    def _open(self) -> Any:
        import cv2

        capture = cv2.VideoCapture(self._pipeline, cv2.CAP_GSTREAMER)
        capture.set(cv2.CAP_PROP_READ_TIMEOUT_MSEC, self.options.stall_s * 1e3)
        return capture

    def _why(self) -> str:
        return why_not(self._address, self.options.stall_s)


def rtsp_source(address: str, options: SourceOptions) -> LiveSource:
    """The source that decodes fastest here: a Jetson's video engine, which only GStreamer reaches, else FFMPEG."""
    if not is_jetson():
        return RtspStream(address, options)
    if has_gstreamer():
        return JetsonStream(address, options)
    source = RtspStream(address, options)
    source.notes.append(
        f"{source.name} is decoded by the CPU: the Jetson's decoder needs an OpenCV with GStreamer, as JetPack's is: "
        f"{GET_JETPACKS}"
    )
    return source
