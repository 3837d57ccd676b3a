"""Where results shall go -> sinks."""

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

from pvt_edge.errors import DataError
from pvt_edge.pictures.files import WRITABLE
from pvt_edge.sinks.encoders import CODECS
from pvt_edge.sinks.images import ImageFile, ImageFolder, MaskFolder
from pvt_edge.sinks.mqtt import Mqtt
from pvt_edge.sinks.place import check_free, check_replaceable, dated
from pvt_edge.sinks.rows import CsvRows, JsonLines
from pvt_edge.sinks.sink import Sink, Sinks
from pvt_edge.sinks.video import VideoFile, VideoFiles
from pvt_edge.sinks.webhook import Webhook
from pvt_edge.sources.source import VIDEO_SUFFIXES


def open_sinks(
    save: str | Path | None = None,
    json: str | Path | None = None,
    *,
    csv: str | Path | None = None,
    masks: str | Path | None = None,
    webhook: str | None = None,
    webhook_every_s: float = 0.0,
    mqtt: str | None = None,
    mqtt_qos: int = 1,
    fps: float | Mapping[int, float | None] | None = None,
    live: bool = False,
    segment_s: float | None = None,
    viewers: Sequence[Callable[[], Sink]] = (),
) -> Sinks:
    """The sinks for annotated pictures `save`, JSON lines `json`, rows `csv`, a folder of `masks`, posts to
    `webhook` and messages to `mqtt`, as one.

    `save` ending like a video is a video of `fps` frames per second (by stream id where there are several), a new
    one every `segment_s`; ending like an image it is one picture; without a suffix, or ending in /, a folder. `json`
    "-" is standard output. %Y-%m-%d_%H-%M-%S and the like in a path are the time when the file begins. `viewers` open
    further sinks. `DataError` for a place that cannot be written, and for a file that pvt-edge did not write; then
    nothing stays open.
    """
    for option, path in (("save", save), ("csv", csv), ("save-masks", masks)):
        if str(path) == "-":
            raise DataError(f"only --json writes to standard output: give --{option} a name")
    _check_distinct([path for path in (save, json, csv, masks) if path is not None and str(path) != "-"])
    if segment_s is not None and (save is None or Path(save).suffix.lower() not in VIDEO_SUFFIXES):
        raise DataError("segments are parts of a video: give --save a name such as out.mp4")
    with ExitStack() as opened:
        sinks = [opened.enter_context(open_viewer()) for open_viewer in viewers]  # files are emptied last
        if mqtt is not None:
            sinks.append(opened.enter_context(Mqtt(mqtt, qos=mqtt_qos)))
        if webhook is not None:
            sinks.append(opened.enter_context(Webhook(webhook, every_s=webhook_every_s)))
        if save is not None:
            sinks.append(opened.enter_context(_open_save(save, fps, live, segment_s)))
        if masks is not None:
            sinks.append(opened.enter_context(MaskFolder(dated(masks))))
        if csv is not None:
            check_replaceable(dated(csv))
            check_free(dated(csv), dated(csv))  # or the JSON lines would be emptied before it is refused
        if json is not None:
            sinks.append(opened.enter_context(JsonLines(dated(json))))
        if csv is not None:
            sinks.append(opened.enter_context(CsvRows(dated(csv))))
        opened.pop_all()
    return Sinks(sinks)


def _check_distinct(paths: Sequence[str | Path]) -> None:
    """`DataError` where two outputs would be one file."""
    places = [os.path.realpath(path) for path in paths]
    for place, path in zip(places, paths, strict=True):
        if places.count(place) > 1 and not place.startswith("/dev/"):
            raise DataError(f"two outputs cannot both go to {path}: choose another place for one of them")


def _open_save(
    save: str | Path, fps: float | Mapping[int, float | None] | None, live: bool, segment_s: float | None
) -> Sink:
    path = Path(save)
    is_folder = str(save).endswith(("/", os.sep)) or path.is_dir()
    suffix = "" if is_folder else path.suffix.lower()
    if suffix in VIDEO_SUFFIXES:
        if isinstance(fps, Mapping) or segment_s is not None:
            by_stream = fps if isinstance(fps, Mapping) else {0: fps}
            return VideoFiles(path, fps=by_stream, live=live, segment_s=segment_s)
        return VideoFile(dated(path), fps=fps, live=live)
    if suffix in WRITABLE:
        return ImageFile(dated(path))
    if suffix:
        raise DataError(
            f"cannot save to {path}: pictures end in {' '.join(WRITABLE)}, videos in {' '.join(CODECS)}; for a folder "
            f"of that name write {path}/"
        )
    return ImageFolder(dated(path))
