"""`--save` and `--json` -> sinks."""

from pathlib import Path

from pvt_edge.picture_file import WRITABLE
from pvt_edge.sinks.images import ImageFile, ImageFolder
from pvt_edge.sinks.json_lines import JsonLines
from pvt_edge.sinks.sink import Sink, Sinks
from pvt_edge.sinks.video import VideoFile
from pvt_edge.sources.source import VIDEO_SUFFIXES


def open_sinks(save: str | Path | None = None, json: str | Path | None = None, *, fps: float | None = None) -> Sinks:
    """The sinks for annotated pictures `save` and JSON lines `json`, as one, which may be empty.

    `save` ending like a video is a video of `fps` frames per second, ending like an image one picture, else a
    folder. `json` "-" is standard output. `DataError` for a place that cannot be written.
    """
    sinks: list[Sink] = []
    if save is not None:
        sinks.append(_open_save(Path(save), fps))
    if json is not None:
        sinks.append(JsonLines(json))
    return Sinks(sinks)


def _open_save(path: Path, fps: float | None) -> Sink:
    suffix = "" if path.is_dir() else path.suffix.lower()
    if suffix in VIDEO_SUFFIXES:
        return VideoFile(path, fps=fps)
    return ImageFile(path) if suffix in WRITABLE else ImageFolder(path)
