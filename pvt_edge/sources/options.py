"""How a camera or stream is opened."""

from dataclasses import dataclass

from pvt_edge.errors import DataError, UnknownNameError
from pvt_edge.pixel_depth import PixelMax, check_pixel_max

CODECS = ("mjpg", "yuyv", "y16", "h264", "h265")
TRANSPORTS = ("tcp", "udp")
MOST_PIXELS, MOST_FPS = 16384, 1000


@dataclass(frozen=True)
class SourceOptions:
    """`width`, `height` in pixels, `fps` and `codec` as asked of a camera, None as it comes.

    `codec` "mjpg", "yuyv", "y16" (grey of 16 bits) or "h264" is what a webcam sends, "h264" or "h265" what a GStreamer
    pipeline decodes. A source that gives nothing for `stall_s` seconds counts as dead. `rtsp_transport` is "tcp" or
    "udp". `pixel_max` is the value that is white where pixels have 16 bits, "auto" to see it from each picture, None
    for all 16.
    """

    width: int | None = None
    height: int | None = None
    fps: float | None = None
    codec: str | None = None
    stall_s: float = 5.0
    rtsp_transport: str = "tcp"
    pixel_max: PixelMax = None

    def __post_init__(self) -> None:
        for name, side in (("width", self.width), ("height", self.height)):
            if side is not None and not 1 <= side <= MOST_PIXELS:
                raise DataError(f"a source's {name} must be 1 to {MOST_PIXELS} pixels, not {side}")
        if self.fps is not None and not 0 < self.fps <= MOST_FPS:
            raise DataError(f"a source's fps must be more than 0 and at most {MOST_FPS}, not {self.fps:g}")
        if not 0.1 <= self.stall_s <= 3600:
            raise DataError(f"the stall time must be 0.1 to 3600 seconds, not {self.stall_s:g}")
        check_pixel_max(self.pixel_max)
        if self.codec is not None and self.codec.lower() not in CODECS:
            raise UnknownNameError("codec", self.codec, CODECS)
        if self.rtsp_transport not in TRANSPORTS:
            raise UnknownNameError("RTSP transport", self.rtsp_transport, TRANSPORTS)
