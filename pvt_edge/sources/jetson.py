"""A Jetson's cameras: on its CSI port, and RTSP through its video engine; OpenCV reaches both by GStreamer alone."""

from typing import Any

from pvt_edge.errors import DataError
from pvt_edge.machine.installed import GET_JETPACKS
from pvt_edge.machine.nvidia import is_jetson
from pvt_edge.options.stream import SourceOptions
from pvt_edge.sources.capture import CaptureSource, has_gstreamer, require_gstreamer
from pvt_edge.sources.diagnosis import Port, why_not
from pvt_edge.sources.network import RtspStream
from pvt_edge.sources.source import LiveSource
from pvt_edge.web_addresses import redact

# BGR for OpenCV; the newest frame alone is kept, and none is held back for its presentation time
TO_OPENCV = (
    "nvvidconv{flip} ! video/x-raw,format=BGRx{size} ! videoconvert ! video/x-raw,format=BGR"
    " ! appsink drop=true max-buffers=1 sync=false"
)
CSI_SIZE = (1280, 720, 30.0)  # a mode that all common sensors have
DEPAY = {"h264": "rtph264depay ! h264parse", "h265": "rtph265depay ! h265parse"}


def csi_pipeline(sensor: int, options: SourceOptions, flip: int = 0) -> str:
    """The pipeline of a CSI camera; `flip` 0 to 7 turns or mirrors it as nvvidconv's flip-method does."""
    width, height = options.width or CSI_SIZE[0], options.height or CSI_SIZE[1]
    rate = options.fps or CSI_SIZE[2]
    framerate = f"{round(rate)}/1" if float(rate).is_integer() else f"{round(rate * 1000)}/1000"
    return (
        f"nvarguscamerasrc sensor-id={sensor} ! video/x-raw(memory:NVMM),width={width},height={height},"
        f"format=NV12,framerate={framerate} ! " + TO_OPENCV.format(flip=f" flip-method={flip}", size="")
    )


def rtsp_pipeline(address: str, options: SourceOptions) -> str:
    """The pipeline of an RTSP stream, decoded by the Jetson's video engine."""
    codec = (options.codec or "h264").lower()
    if codec not in DEPAY:
        raise DataError(f"an RTSP stream's codec is {' or '.join(DEPAY)}, not {codec}: set --source-codec")
    if any(sign in address for sign in "\"'\\ \t\n"):  # would end the pipeline's string
        raise DataError("the address holds quotes, blanks or backslashes: write them as %22, %27, %20, %5C")
    size = f",width={options.width},height={options.height}" if options.width and options.height else ""
    protocols = f" protocols={options.rtsp_transport}"
    timeout_us = round(options.stall_s * 1e6)
    return (
        f'rtspsrc location="{address}" latency=100 drop-on-latency=true{protocols} tcp-timeout={timeout_us} ! '
        f"{DEPAY[codec]} ! nvv4l2decoder enable-max-performance=1 ! " + TO_OPENCV.format(flip="", size=size)
    )


class CsiCamera(CaptureSource):
    """The sensor numbered `sensor`. `DataError` at once where OpenCV lacks GStreamer."""

    def __init__(self, sensor: int, options: SourceOptions, *, flip: int = 0) -> None:
        super().__init__(f"csi://{sensor}", options)
        require_gstreamer(self.name)
        self.pipeline = csi_pipeline(sensor, options, flip)

    def _open(self) -> Any:
        import cv2

        capture = cv2.VideoCapture(self.pipeline, cv2.CAP_GSTREAMER)
        capture.set(cv2.CAP_PROP_READ_TIMEOUT_MSEC, self.options.stall_s * 1e3)
        return capture

    def _why(self) -> str:
        return (
            "nvarguscamerasrc gives no picture; is the camera connected and free (sudo systemctl restart "
            f"nvargus-daemon), and does it have this mode? the pipeline was: {self.pipeline}"
        )


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
