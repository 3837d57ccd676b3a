"""How a camera or stream is opened, and what becomes of its results: where they go, what is followed and counted."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypedDict

from pvt_edge.errors import DataError, UnknownNameError
from pvt_edge.options.flag import Flag, parse_points
from pvt_edge.options.run import PIXEL_MAX

if TYPE_CHECKING:
    from pvt_edge.pictures.resizing import PixelMax
    from pvt_edge.streams.counting import Points

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

    stall_s: Annotated[float, Flag("Reopen a source that is silent for so many seconds.", name="stall")] = field(
        default=5.0, kw_only=True
    )
    width: Annotated[int | None, Flag("Pixels to ask of a camera.", name="source_width")] = None
    height: Annotated[int | None, Flag("Pixels to ask of a camera.", name="source_height")] = None
    fps: Annotated[float | None, Flag("Frames a second to ask of a camera.", name="source_fps")] = None
    codec: Annotated[str | None, Flag("mjpg, yuyv, y16, h264 or h265.", name="source_codec")] = None
    rtsp_transport: Annotated[str, Flag("tcp or udp.")] = "tcp"
    pixel_max: Annotated["PixelMax", PIXEL_MAX] = None

    def __post_init__(self) -> None:
        from pvt_edge.pictures.resizing import check_pixel_max  # needs NumPy, which --help does without

        for name, side in (("width", self.width), ("height", self.height)):
            if side is not None and not 1 <= side <= MOST_PIXELS:
                raise DataError(f"a source's {name} must be 1 to {MOST_PIXELS} pixels, not {side}")
        if self.fps is not None and not 0 < self.fps <= MOST_FPS:
            raise DataError(f"a source's fps must be more than 0 and at most {MOST_FPS}, not {self.fps:g}")
        if not 0.1 <= self.stall_s <= 3600:
            raise DataError(f"the stall time must be 0.1 to 3600 seconds, not {self.stall_s:g}")
        object.__setattr__(self, "pixel_max", check_pixel_max(self.pixel_max))
        if self.codec is not None and self.codec.lower() not in CODECS:
            raise UnknownNameError("codec", self.codec, CODECS)
        if self.rtsp_transport not in TRANSPORTS:
            raise UnknownNameError("RTSP transport", self.rtsp_transport, TRANSPORTS)


class OutputOptions(TypedDict, total=False):
    """Keywords of `pvt_edge.sinks.open_sinks`; see there."""

    save: Annotated[
        str | Path | None,
        Flag("Annotated output: a folder, or a video such as out.mp4.", metavar="PATH", kind=str),
    ]
    segment_s: Annotated[float | None, Flag("Begin a new video every so many seconds.", name="segment", min=1)]
    json: Annotated[str | Path | None, Flag("One JSON line a frame; - is stdout.", metavar="PATH", kind=str)]
    csv: Annotated[str | Path | None, Flag("One CSV row a detection, or a class of a mask.", metavar="PATH", kind=Path)]
    masks: Annotated[
        str | Path | None,
        Flag("A segmenter's masks: PNGs of class ids.", name="save_masks", metavar="DIR", kind=Path),
    ]
    webhook: Annotated[str | None, Flag("Post each result's JSON there.", metavar="URL")]
    webhook_every_s: Annotated[
        float, Flag("Post at most every so many seconds.", name="webhook_every", min=0, default=0.0)
    ]
    mqtt: Annotated[
        str | None,
        Flag("Publish each result's JSON there: mqtt://USER:PASSWORD@HOST:1883/TOPIC, or mqtts://.", metavar="URL"),
    ]
    mqtt_qos: Annotated[int, Flag("MQTT's quality of service.", min=0, max=2, default=1)]


def _points(option: str) -> "Callable[[Sequence[str]], list[Points]]":
    return lambda texts: [parse_points(text, option) for text in texts]


class FollowOptions(TypedDict, total=False):
    """Keywords of `pvt_edge.streams.following.follower`; see there."""

    track: Annotated[bool, Flag("Follow objects: each keeps its id.")]
    lines: Annotated[
        "Sequence[Points]",
        Flag(
            "Count who crosses, in pixels; may be repeated.",
            name="count_line",
            metavar="X1,Y1,X2,Y2",
            kind=list[str],
            read=_points("--count-line"),
        ),
    ]
    zones: Annotated[
        "Sequence[Points]",
        Flag(
            "Count who is inside; may be repeated.",
            name="count_zone",
            metavar="X1,Y1,X2,Y2,X3,Y3...",
            kind=list[str],
            read=_points("--count-zone"),
        ),
    ]
    heat_map: Annotated[bool, Flag("Draw where objects were, the longer the warmer.")]
    trace: Annotated[bool, Flag("Draw the way of each object, tracked.")]
