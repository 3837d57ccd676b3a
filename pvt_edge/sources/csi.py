"""A camera on a Jetson's CSI port."""

from typing import Any

from pvt_edge.options.source import SourceOptions
from pvt_edge.sources.capture import CaptureSource, require_gstreamer
from pvt_edge.sources.gstreamer import csi_pipeline


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
