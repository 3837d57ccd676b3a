"""What becomes of a stream's results: where they go, and what is followed and counted in them."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypedDict

from pvt_edge.options.flag import Flag
from pvt_edge.options.texts import parse_points

if TYPE_CHECKING:
    from pvt_edge.streams.counting import Points


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
